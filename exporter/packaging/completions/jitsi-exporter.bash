_jitsi__exporter() {
    local i cur prev opts cmd
    COMPREPLY=()
    if [[ "${BASH_VERSINFO[0]}" -ge 4 ]]; then
        cur="$2"
    else
        cur="${COMP_WORDS[COMP_CWORD]}"
    fi
    prev="$3"
    cmd=""
    opts=""

    for i in "${COMP_WORDS[@]:0:COMP_CWORD}"
    do
        case "${cmd},${i}" in
            ",$1")
                cmd="jitsi__exporter"
                ;;
            *)
                ;;
        esac
    done

    case "${cmd}" in
        jitsi__exporter)
            opts="-h -V --jvb.url --jicofo.url --jibri.url --probe.allow --config.file --scrape.native --scrape.max-timeout --compat.systemli --relay.enabled --jibri.internal-url --instance.id --config.check --print-metrics-reference --print-completion --web.listen-address --web.config.file --web.telemetry-path --web.max-requests --log.level --log.format --help --version"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 1 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --jvb.url)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --jicofo.url)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --jibri.url)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --probe.allow)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --config.file)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --scrape.native)
                    COMPREPLY=($(compgen -W "auto always off" -- "${cur}"))
                    return 0
                    ;;
                --scrape.max-timeout)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --jibri.internal-url)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --instance.id)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --print-completion)
                    COMPREPLY=($(compgen -W "bash zsh fish" -- "${cur}"))
                    return 0
                    ;;
                --web.listen-address)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --web.config.file)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --web.telemetry-path)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --web.max-requests)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --log.level)
                    COMPREPLY=($(compgen -W "trace debug info warn error" -- "${cur}"))
                    return 0
                    ;;
                --log.format)
                    COMPREPLY=($(compgen -W "logfmt json" -- "${cur}"))
                    return 0
                    ;;
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
    esac
}

if [[ "${BASH_VERSINFO[0]}" -eq 4 && "${BASH_VERSINFO[1]}" -ge 4 || "${BASH_VERSINFO[0]}" -gt 4 ]]; then
    complete -F _jitsi__exporter -o nosort -o bashdefault -o default jitsi-exporter
else
    complete -F _jitsi__exporter -o bashdefault -o default jitsi-exporter
fi
