complete -c jitsi-exporter -l jvb.url -d 'Private interface of a JVB, such as http://127.0.0.1:8080; repeatable' -r
complete -c jitsi-exporter -l jicofo.url -d 'REST interface of a Jicofo, such as http://127.0.0.1:8888; repeatable' -r
complete -c jitsi-exporter -l jibri.url -d 'External API of a Jibri, such as http://127.0.0.1:2222; repeatable' -r
complete -c jitsi-exporter -l probe.allow -d 'Network (10.0.0.0/8) or end of host names (.example.org or *.example.org) that /probe may fetch from; repeatable; default: loopback, and private networks if no target is given; link-local addresses never' -r
complete -c jitsi-exporter -l config.file -d 'File of additional modules for /probe, with timeouts, credentials, TLS and headers; reloaded by SIGHUP and POST /-/reload' -r -F
complete -c jitsi-exporter -l scrape.native -d 'When to read a component\'s own /metrics, in addition to or instead of its statistics' -r -f -a "auto\t'Of bridges whose statistics are switched off; of Jicofo and Jibri for values that their statistics lack'
always\t'Of every component for values that its statistics lack, with a second request'
off\t'Never'"
complete -c jitsi-exporter -l scrape.max-timeout -d 'Longest time that a scrape or probe may take, whatever timeout its request asks for' -r
complete -c jitsi-exporter -l jibri.internal-url -d 'Internal API of the Jibri, which accepts the graceful shutdown; default: http://127.0.0.1:3333' -r
complete -c jitsi-exporter -l instance.id -d 'Instance id of this host: the relay refuses requests that a scaler means for another instance; default: asked of the metadata service of EC2' -r
complete -c jitsi-exporter -l print-completion -d 'Print the completions of a shell, and exit: source <(jitsi-exporter --print-completion=bash)' -r -f -a "bash\t'GNU Bash'
zsh\t'Zsh'
fish\t'Fish'"
complete -c jitsi-exporter -l web.listen-address -d 'Address to listen on: `:port` for every interface, `host:port`, or `[v6]:port`; repeatable' -r
complete -c jitsi-exporter -l web.config.file -d 'File in the web configuration format of Prometheus exporters: TLS, client certificates, users, headers, rate limit; changes take effect without a restart' -r -F
complete -c jitsi-exporter -l web.telemetry-path -d 'Path of the program\'s metrics' -r
complete -c jitsi-exporter -l web.max-requests -d 'Maximum number of concurrent requests for metrics; further ones get status 503; 0 means no limit' -r
complete -c jitsi-exporter -l log.level -d 'Least important level that is logged' -r -f -a "trace\t'Everything, including the libraries\' own events'
debug\t'Details that help to find a cause'
info\t'Events that an operator wants to know about'
warn\t'Events that an operator should look into'
error\t'Failures'"
complete -c jitsi-exporter -l log.format -d 'Format of the log on standard error' -r -f -a "logfmt\t'`key=value` pairs'
json\t'One JSON object per line'"
complete -c jitsi-exporter -l compat.systemli -d 'Add the metric names of the systemli exporter (jitsi_…), so that its dashboards keep working'
complete -c jitsi-exporter -l relay.enabled -d 'Pass drain and shutdown requests below /relay on to the component on this host; requires authentication in the web configuration, or loopback listen addresses only'
complete -c jitsi-exporter -l config.check -d 'Validate the flags and the files that they name, and exit: 0 if the exporter would start with them, 2 with every mistake if not'
complete -c jitsi-exporter -l print-metrics-reference -d 'Print the reference of all metrics as Markdown, and exit'
complete -c jitsi-exporter -s h -l help -d 'Print help (see more with \'--help\')'
complete -c jitsi-exporter -s V -l version -d 'Print version'
