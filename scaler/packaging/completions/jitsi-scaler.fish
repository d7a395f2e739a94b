# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_jitsi_scaler_global_optspecs
    string join \n h/help V/version
end

function __fish_jitsi_scaler_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_jitsi_scaler_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_jitsi_scaler_using_subcommand
    set -l cmd (__fish_jitsi_scaler_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c jitsi-scaler -n "__fish_jitsi_scaler_needs_command" -s h -l help -d 'Print help'
complete -c jitsi-scaler -n "__fish_jitsi_scaler_needs_command" -s V -l version -d 'Print version'
complete -c jitsi-scaler -n "__fish_jitsi_scaler_needs_command" -f -a "run" -d 'Run the service: observe, decide, act and publish, until SIGTERM'
complete -c jitsi-scaler -n "__fish_jitsi_scaler_needs_command" -f -a "check" -d 'Validate the configuration; with --online, also check it against Prometheus, AWS and the components'
complete -c jitsi-scaler -n "__fish_jitsi_scaler_needs_command" -f -a "plan" -d 'Print what the next evaluation would do, and why; changes nothing'
complete -c jitsi-scaler -n "__fish_jitsi_scaler_needs_command" -f -a "test" -d 'Run unit tests of policies: given series, and the decisions that they must lead to'
complete -c jitsi-scaler -n "__fish_jitsi_scaler_needs_command" -f -a "backtest" -d 'Replay history through the configuration: what it would have cost, and where capacity would have been short'
complete -c jitsi-scaler -n "__fish_jitsi_scaler_needs_command" -f -a "status" -d 'Print what the running service sees and does'
complete -c jitsi-scaler -n "__fish_jitsi_scaler_needs_command" -f -a "pause" -d 'Keep the running service from changing groups for a time; drains that operators order go on'
complete -c jitsi-scaler -n "__fish_jitsi_scaler_needs_command" -f -a "resume" -d 'End the pauses of groups'
complete -c jitsi-scaler -n "__fish_jitsi_scaler_needs_command" -f -a "drain" -d 'Drain instances through the running service, whatever policies say'
complete -c jitsi-scaler -n "__fish_jitsi_scaler_needs_command" -f -a "undrain" -d 'End the drains of instances that are not asked to exit yet'
complete -c jitsi-scaler -n "__fish_jitsi_scaler_needs_command" -f -a "release" -d 'End all drains and remove the tags of the scaler, so that something else can scale the groups; the service must not run'
complete -c jitsi-scaler -n "__fish_jitsi_scaler_needs_command" -f -a "completion" -d 'Print the completions of a shell: source <(jitsi-scaler completion bash)'
complete -c jitsi-scaler -n "__fish_jitsi_scaler_needs_command" -f -a "import-cloudwatch" -d 'Translate CloudWatch alarms, scaling policies and scheduled actions into a configuration that names what you must choose'
complete -c jitsi-scaler -n "__fish_jitsi_scaler_needs_command" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c jitsi-scaler -n "__fish_jitsi_scaler_using_subcommand run" -s c -l config.file -d 'The configuration file' -r -F
complete -c jitsi-scaler -n "__fish_jitsi_scaler_using_subcommand run" -l decision-log -d 'Append each decision that differs from the one before to this file, as JSON lines; if it is renamed, in a new one' -r -F
complete -c jitsi-scaler -n "__fish_jitsi_scaler_using_subcommand run" -l leader.lease -d 'Act only while this replica holds the given Lease of Kubernetes; other replicas stand by and take over. Needs a build with the feature `kubernetes`, such as the container image' -r
complete -c jitsi-scaler -n "__fish_jitsi_scaler_using_subcommand run" -l leader.shards -d 'Spread the fleets over so many shards. Each shard has a Lease beside that of --leader.lease, and every replica leads some of them; all replicas need the same number' -r
complete -c jitsi-scaler -n "__fish_jitsi_scaler_using_subcommand run" -l leader.identity -d 'The name of this replica in the lease, to which a few random characters are added; default: the name of the host, which is that of the pod' -r
complete -c jitsi-scaler -n "__fish_jitsi_scaler_using_subcommand run" -l leader.lease-duration -d 'How long standby replicas wait after the last renewal before one takes over; whole seconds' -r
complete -c jitsi-scaler -n "__fish_jitsi_scaler_using_subcommand run" -l leader.renew-deadline -d 'How long after its last renewal a leader stops acting; shorter than the lease duration' -r
complete -c jitsi-scaler -n "__fish_jitsi_scaler_using_subcommand run" -l leader.retry-period -d 'How often the leader renews the lease and standby replicas read it' -r
complete -c jitsi-scaler -n "__fish_jitsi_scaler_using_subcommand run" -l web.listen-address -d 'Address to listen on: `:port` for every interface, `host:port`, or `[v6]:port`; repeatable' -r
complete -c jitsi-scaler -n "__fish_jitsi_scaler_using_subcommand run" -l web.config.file -d 'File in the web configuration format of Prometheus exporters: TLS, client certificates, users, headers, rate limit; changes take effect without a restart' -r -F
complete -c jitsi-scaler -n "__fish_jitsi_scaler_using_subcommand run" -l web.telemetry-path -d 'Path of the program\'s metrics' -r
complete -c jitsi-scaler -n "__fish_jitsi_scaler_using_subcommand run" -l web.max-requests -d 'Maximum number of concurrent requests for metrics; further ones get status 503; 0 means no limit' -r
complete -c jitsi-scaler -n "__fish_jitsi_scaler_using_subcommand run" -l web.link -d 'A link that each group has on the page, such as to its dashboard; {fleet}, {asg} and {region} become those of the group; repeatable' -r
complete -c jitsi-scaler -n "__fish_jitsi_scaler_using_subcommand run" -l log.level -d 'Least important level that is logged' -r -f -a "trace\t'Everything, including the libraries\' own events'
debug\t'Details that help to find a cause'
info\t'Events that an operator wants to know about'
warn\t'Events that an operator should look into'
error\t'Failures'"
complete -c jitsi-scaler -n "__fish_jitsi_scaler_using_subcommand run" -l log.format -d 'Format of the log on standard error' -r -f -a "logfmt\t'`key=value` pairs'
json\t'One JSON object per line'"
complete -c jitsi-scaler -n "__fish_jitsi_scaler_using_subcommand run" -l dry-run -d 'Decide and report for every fleet, but change nothing'
complete -c jitsi-scaler -n "__fish_jitsi_scaler_using_subcommand run" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c jitsi-scaler -n "__fish_jitsi_scaler_using_subcommand run" -s V -l version -d 'Print version'
complete -c jitsi-scaler -n "__fish_jitsi_scaler_using_subcommand check" -s c -l config.file -d 'The configuration file' -r -F
complete -c jitsi-scaler -n "__fish_jitsi_scaler_using_subcommand check" -s o -l output -d 'The output format' -r -f -a "text\t'For a person'
json\t'For a program; `plan` prints the shape of `/api/v1/status`'"
complete -c jitsi-scaler -n "__fish_jitsi_scaler_using_subcommand check" -l online -d 'Also check Prometheus, AWS and the components, without changing anything; exit 1 if something would not work'
complete -c jitsi-scaler -n "__fish_jitsi_scaler_using_subcommand check" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c jitsi-scaler -n "__fish_jitsi_scaler_using_subcommand check" -s V -l version -d 'Print version'
complete -c jitsi-scaler -n "__fish_jitsi_scaler_using_subcommand plan" -s c -l config.file -d 'The configuration file' -r -F
complete -c jitsi-scaler -n "__fish_jitsi_scaler_using_subcommand plan" -l at -d 'Use the datapoints of this time, such as 2026-11-20T07:00:00Z, instead of now; groups are read as they are now' -r
complete -c jitsi-scaler -n "__fish_jitsi_scaler_using_subcommand plan" -s o -l output -d 'The output format' -r -f -a "text\t'For a person'
json\t'For a program; `plan` prints the shape of `/api/v1/status`'"
complete -c jitsi-scaler -n "__fish_jitsi_scaler_using_subcommand plan" -l log.level -d 'Least important level that is logged' -r -f -a "trace\t'Everything, including the libraries\' own events'
debug\t'Details that help to find a cause'
info\t'Events that an operator wants to know about'
warn\t'Events that an operator should look into'
error\t'Failures'"
complete -c jitsi-scaler -n "__fish_jitsi_scaler_using_subcommand plan" -l log.format -d 'Format of the log on standard error' -r -f -a "logfmt\t'`key=value` pairs'
json\t'One JSON object per line'"
complete -c jitsi-scaler -n "__fish_jitsi_scaler_using_subcommand plan" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c jitsi-scaler -n "__fish_jitsi_scaler_using_subcommand plan" -s V -l version -d 'Print version'
complete -c jitsi-scaler -n "__fish_jitsi_scaler_using_subcommand test" -l run -d 'Run only the tests whose names match' -r
complete -c jitsi-scaler -n "__fish_jitsi_scaler_using_subcommand test" -l junit -d 'Write the results to a file as JUnit\'s XML, too' -r -F
complete -c jitsi-scaler -n "__fish_jitsi_scaler_using_subcommand test" -s h -l help -d 'Print help'
complete -c jitsi-scaler -n "__fish_jitsi_scaler_using_subcommand test" -s V -l version -d 'Print version'
complete -c jitsi-scaler -n "__fish_jitsi_scaler_using_subcommand backtest" -s c -l config.file -d 'The configuration file' -r -F
complete -c jitsi-scaler -n "__fish_jitsi_scaler_using_subcommand backtest" -l from -d 'Where history begins: a time such as 2026-11-20T07:00:00Z, or how long ago; default: 7d, or where the files begin' -r
complete -c jitsi-scaler -n "__fish_jitsi_scaler_using_subcommand backtest" -l to -d 'Where history ends, written as for --from; default: now, or where the files end' -r
complete -c jitsi-scaler -n "__fish_jitsi_scaler_using_subcommand backtest" -l fleet -d 'Replay only this fleet; may be repeated' -r
complete -c jitsi-scaler -n "__fish_jitsi_scaler_using_subcommand backtest" -l group -d 'Replay only this group; may be repeated' -r
complete -c jitsi-scaler -n "__fish_jitsi_scaler_using_subcommand backtest" -l against -d 'Replay the same history through a second configuration, too, and compare' -r -F
complete -c jitsi-scaler -n "__fish_jitsi_scaler_using_subcommand backtest" -l tune -d 'Try all combinations of the values of keys, such as jvb.stress.scale_out.when=0.4..0.8/0.05, and show which are best; may be repeated' -r
complete -c jitsi-scaler -n "__fish_jitsi_scaler_using_subcommand backtest" -l history -d 'Read history from a file and not from Prometheus: CSV with the header time,asg,series,value, or the JSON of `aws cloudwatch get-metric-data`, whose results are named by FILE:ID=POLICY or FILE:ID=POLICY@GROUP; may be repeated' -r
complete -c jitsi-scaler -n "__fish_jitsi_scaler_using_subcommand backtest" -l price -d 'What an hour of an instance costs' -r
complete -c jitsi-scaler -n "__fish_jitsi_scaler_using_subcommand backtest" -l currency -d 'The currency of --price, for the report' -r
complete -c jitsi-scaler -n "__fish_jitsi_scaler_using_subcommand backtest" -l boot -d 'How long an instance takes from its launch until it takes work; default: the median of history, else the warm-up' -r
complete -c jitsi-scaler -n "__fish_jitsi_scaler_using_subcommand backtest" -l drain -d 'How long a bridge in use takes to become empty; default: the median of history, else 30m' -r
complete -c jitsi-scaler -n "__fish_jitsi_scaler_using_subcommand backtest" -s o -l output -d 'The format of the report' -r -f -a "text\t'For a terminal'
json\t'For a program'
html\t'A page with charts, in one file'"
complete -c jitsi-scaler -n "__fish_jitsi_scaler_using_subcommand backtest" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c jitsi-scaler -n "__fish_jitsi_scaler_using_subcommand backtest" -s V -l version -d 'Print version'
complete -c jitsi-scaler -n "__fish_jitsi_scaler_using_subcommand status" -s o -l output -d 'The output format' -r -f -a "text\t'For a person'
json\t'For a program; `plan` prints the shape of `/api/v1/status`'"
complete -c jitsi-scaler -n "__fish_jitsi_scaler_using_subcommand status" -l server -d 'The address of the service' -r
complete -c jitsi-scaler -n "__fish_jitsi_scaler_using_subcommand status" -l username -d 'The user, if the service has users' -r
complete -c jitsi-scaler -n "__fish_jitsi_scaler_using_subcommand status" -l password-file -d 'The file of the user\'s password' -r -F
complete -c jitsi-scaler -n "__fish_jitsi_scaler_using_subcommand status" -l ca-file -d 'Trust only the authorities in this file of PEM certificates' -r -F
complete -c jitsi-scaler -n "__fish_jitsi_scaler_using_subcommand status" -l watch -d 'Print it again every five seconds'
complete -c jitsi-scaler -n "__fish_jitsi_scaler_using_subcommand status" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c jitsi-scaler -n "__fish_jitsi_scaler_using_subcommand status" -s V -l version -d 'Print version'
complete -c jitsi-scaler -n "__fish_jitsi_scaler_using_subcommand pause" -l for -d 'How long the pause lasts, at most 30d' -r
complete -c jitsi-scaler -n "__fish_jitsi_scaler_using_subcommand pause" -l reason -d 'Why, for other operators' -r
complete -c jitsi-scaler -n "__fish_jitsi_scaler_using_subcommand pause" -l server -d 'The address of the service' -r
complete -c jitsi-scaler -n "__fish_jitsi_scaler_using_subcommand pause" -l username -d 'The user, if the service has users' -r
complete -c jitsi-scaler -n "__fish_jitsi_scaler_using_subcommand pause" -l password-file -d 'The file of the user\'s password' -r -F
complete -c jitsi-scaler -n "__fish_jitsi_scaler_using_subcommand pause" -l ca-file -d 'Trust only the authorities in this file of PEM certificates' -r -F
complete -c jitsi-scaler -n "__fish_jitsi_scaler_using_subcommand pause" -l all -d 'Every group'
complete -c jitsi-scaler -n "__fish_jitsi_scaler_using_subcommand pause" -s h -l help -d 'Print help'
complete -c jitsi-scaler -n "__fish_jitsi_scaler_using_subcommand pause" -s V -l version -d 'Print version'
complete -c jitsi-scaler -n "__fish_jitsi_scaler_using_subcommand resume" -l server -d 'The address of the service' -r
complete -c jitsi-scaler -n "__fish_jitsi_scaler_using_subcommand resume" -l username -d 'The user, if the service has users' -r
complete -c jitsi-scaler -n "__fish_jitsi_scaler_using_subcommand resume" -l password-file -d 'The file of the user\'s password' -r -F
complete -c jitsi-scaler -n "__fish_jitsi_scaler_using_subcommand resume" -l ca-file -d 'Trust only the authorities in this file of PEM certificates' -r -F
complete -c jitsi-scaler -n "__fish_jitsi_scaler_using_subcommand resume" -l all -d 'Every group'
complete -c jitsi-scaler -n "__fish_jitsi_scaler_using_subcommand resume" -s h -l help -d 'Print help'
complete -c jitsi-scaler -n "__fish_jitsi_scaler_using_subcommand resume" -s V -l version -d 'Print version'
complete -c jitsi-scaler -n "__fish_jitsi_scaler_using_subcommand drain" -l then -d 'What follows once an instance is empty' -r -f -a "replace\t'It is terminated, and another one comes in its place'
shrink\t'It is terminated, and the desired capacity is lowered by one'
keep\t'It stays in its group and takes nothing, until it is undrained; bridges only'"
complete -c jitsi-scaler -n "__fish_jitsi_scaler_using_subcommand drain" -l reason -d 'Why, for other operators' -r
complete -c jitsi-scaler -n "__fish_jitsi_scaler_using_subcommand drain" -l group -d 'The group of the instances, where the status does not show it: FLEET, ASG or FLEET/ASG' -r
complete -c jitsi-scaler -n "__fish_jitsi_scaler_using_subcommand drain" -l server -d 'The address of the service' -r
complete -c jitsi-scaler -n "__fish_jitsi_scaler_using_subcommand drain" -l username -d 'The user, if the service has users' -r
complete -c jitsi-scaler -n "__fish_jitsi_scaler_using_subcommand drain" -l password-file -d 'The file of the user\'s password' -r -F
complete -c jitsi-scaler -n "__fish_jitsi_scaler_using_subcommand drain" -l ca-file -d 'Trust only the authorities in this file of PEM certificates' -r -F
complete -c jitsi-scaler -n "__fish_jitsi_scaler_using_subcommand drain" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c jitsi-scaler -n "__fish_jitsi_scaler_using_subcommand drain" -s V -l version -d 'Print version'
complete -c jitsi-scaler -n "__fish_jitsi_scaler_using_subcommand undrain" -l reason -d 'Why, for other operators' -r
complete -c jitsi-scaler -n "__fish_jitsi_scaler_using_subcommand undrain" -l group -d 'The group of the instances, where the status does not show it: FLEET, ASG or FLEET/ASG' -r
complete -c jitsi-scaler -n "__fish_jitsi_scaler_using_subcommand undrain" -l server -d 'The address of the service' -r
complete -c jitsi-scaler -n "__fish_jitsi_scaler_using_subcommand undrain" -l username -d 'The user, if the service has users' -r
complete -c jitsi-scaler -n "__fish_jitsi_scaler_using_subcommand undrain" -l password-file -d 'The file of the user\'s password' -r -F
complete -c jitsi-scaler -n "__fish_jitsi_scaler_using_subcommand undrain" -l ca-file -d 'Trust only the authorities in this file of PEM certificates' -r -F
complete -c jitsi-scaler -n "__fish_jitsi_scaler_using_subcommand undrain" -s h -l help -d 'Print help'
complete -c jitsi-scaler -n "__fish_jitsi_scaler_using_subcommand undrain" -s V -l version -d 'Print version'
complete -c jitsi-scaler -n "__fish_jitsi_scaler_using_subcommand release" -s c -l config.file -d 'The configuration file' -r -F
complete -c jitsi-scaler -n "__fish_jitsi_scaler_using_subcommand release" -l leader.lease -d 'The Lease that `run` is given as --leader.lease; nothing is done while a service holds it' -r
complete -c jitsi-scaler -n "__fish_jitsi_scaler_using_subcommand release" -l log.level -d 'Least important level that is logged' -r -f -a "trace\t'Everything, including the libraries\' own events'
debug\t'Details that help to find a cause'
info\t'Events that an operator wants to know about'
warn\t'Events that an operator should look into'
error\t'Failures'"
complete -c jitsi-scaler -n "__fish_jitsi_scaler_using_subcommand release" -l log.format -d 'Format of the log on standard error' -r -f -a "logfmt\t'`key=value` pairs'
json\t'One JSON object per line'"
complete -c jitsi-scaler -n "__fish_jitsi_scaler_using_subcommand release" -l dry-run -d 'Print what would be done'
complete -c jitsi-scaler -n "__fish_jitsi_scaler_using_subcommand release" -l yes -d 'Do it'
complete -c jitsi-scaler -n "__fish_jitsi_scaler_using_subcommand release" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c jitsi-scaler -n "__fish_jitsi_scaler_using_subcommand release" -s V -l version -d 'Print version'
complete -c jitsi-scaler -n "__fish_jitsi_scaler_using_subcommand completion" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c jitsi-scaler -n "__fish_jitsi_scaler_using_subcommand completion" -s V -l version -d 'Print version'
complete -c jitsi-scaler -n "__fish_jitsi_scaler_using_subcommand import-cloudwatch" -s h -l help -d 'Print help'
complete -c jitsi-scaler -n "__fish_jitsi_scaler_using_subcommand import-cloudwatch" -s V -l version -d 'Print version'
complete -c jitsi-scaler -n "__fish_jitsi_scaler_using_subcommand help; and not __fish_seen_subcommand_from run check plan test backtest status pause resume drain undrain release completion import-cloudwatch help" -f -a "run" -d 'Run the service: observe, decide, act and publish, until SIGTERM'
complete -c jitsi-scaler -n "__fish_jitsi_scaler_using_subcommand help; and not __fish_seen_subcommand_from run check plan test backtest status pause resume drain undrain release completion import-cloudwatch help" -f -a "check" -d 'Validate the configuration; with --online, also check it against Prometheus, AWS and the components'
complete -c jitsi-scaler -n "__fish_jitsi_scaler_using_subcommand help; and not __fish_seen_subcommand_from run check plan test backtest status pause resume drain undrain release completion import-cloudwatch help" -f -a "plan" -d 'Print what the next evaluation would do, and why; changes nothing'
complete -c jitsi-scaler -n "__fish_jitsi_scaler_using_subcommand help; and not __fish_seen_subcommand_from run check plan test backtest status pause resume drain undrain release completion import-cloudwatch help" -f -a "test" -d 'Run unit tests of policies: given series, and the decisions that they must lead to'
complete -c jitsi-scaler -n "__fish_jitsi_scaler_using_subcommand help; and not __fish_seen_subcommand_from run check plan test backtest status pause resume drain undrain release completion import-cloudwatch help" -f -a "backtest" -d 'Replay history through the configuration: what it would have cost, and where capacity would have been short'
complete -c jitsi-scaler -n "__fish_jitsi_scaler_using_subcommand help; and not __fish_seen_subcommand_from run check plan test backtest status pause resume drain undrain release completion import-cloudwatch help" -f -a "status" -d 'Print what the running service sees and does'
complete -c jitsi-scaler -n "__fish_jitsi_scaler_using_subcommand help; and not __fish_seen_subcommand_from run check plan test backtest status pause resume drain undrain release completion import-cloudwatch help" -f -a "pause" -d 'Keep the running service from changing groups for a time; drains that operators order go on'
complete -c jitsi-scaler -n "__fish_jitsi_scaler_using_subcommand help; and not __fish_seen_subcommand_from run check plan test backtest status pause resume drain undrain release completion import-cloudwatch help" -f -a "resume" -d 'End the pauses of groups'
complete -c jitsi-scaler -n "__fish_jitsi_scaler_using_subcommand help; and not __fish_seen_subcommand_from run check plan test backtest status pause resume drain undrain release completion import-cloudwatch help" -f -a "drain" -d 'Drain instances through the running service, whatever policies say'
complete -c jitsi-scaler -n "__fish_jitsi_scaler_using_subcommand help; and not __fish_seen_subcommand_from run check plan test backtest status pause resume drain undrain release completion import-cloudwatch help" -f -a "undrain" -d 'End the drains of instances that are not asked to exit yet'
complete -c jitsi-scaler -n "__fish_jitsi_scaler_using_subcommand help; and not __fish_seen_subcommand_from run check plan test backtest status pause resume drain undrain release completion import-cloudwatch help" -f -a "release" -d 'End all drains and remove the tags of the scaler, so that something else can scale the groups; the service must not run'
complete -c jitsi-scaler -n "__fish_jitsi_scaler_using_subcommand help; and not __fish_seen_subcommand_from run check plan test backtest status pause resume drain undrain release completion import-cloudwatch help" -f -a "completion" -d 'Print the completions of a shell: source <(jitsi-scaler completion bash)'
complete -c jitsi-scaler -n "__fish_jitsi_scaler_using_subcommand help; and not __fish_seen_subcommand_from run check plan test backtest status pause resume drain undrain release completion import-cloudwatch help" -f -a "import-cloudwatch" -d 'Translate CloudWatch alarms, scaling policies and scheduled actions into a configuration that names what you must choose'
complete -c jitsi-scaler -n "__fish_jitsi_scaler_using_subcommand help; and not __fish_seen_subcommand_from run check plan test backtest status pause resume drain undrain release completion import-cloudwatch help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
