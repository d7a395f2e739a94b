//! The reasons why a target is not up, as a closed set for a label.

jitsi_web::words! {
    /// Why the statistics of a target could not be fetched or understood.
    pub enum Reason {
        /// The host name cannot be resolved.
        Dns = "dns",
        /// The connection was refused.
        Refused = "refused",
        /// The connection failed for another cause, such as a missing route.
        Connect = "connect",
        /// The TLS handshake failed, or the certificate is not trusted.
        Tls = "tls",
        /// The address is not allowed by `--probe.allow`.
        Forbidden = "forbidden",
        /// The deadline passed before the response was complete.
        Timeout = "timeout",
        /// The connection broke before the response was complete.
        Interrupted = "interrupted",
        /// The response is not HTTP.
        Protocol = "protocol",
        /// Status 3xx. Redirects are not followed.
        Redirect = "redirect",
        /// Status 401 or 403.
        Unauthorized = "unauthorized",
        /// The module's password or token cannot be read.
        Credentials = "credentials",
        /// Status 404.
        NotFound = "not_found",
        /// Another status that is not 200.
        Status = "status",
        /// The body is larger than the limit.
        TooLarge = "too_large",
        /// The body is empty.
        Empty = "empty",
        /// The body is `{}`.
        EmptyObject = "empty_object",
        /// The body is an HTML page.
        Html = "html",
        /// The JSON is incomplete.
        Truncated = "truncated",
        /// The body is not JSON.
        Malformed = "malformed",
        /// The statistics are those of a JVB, but another component was expected.
        ForeignJvb = "foreign_jvb",
        /// The statistics are those of a Jicofo, but another component was expected.
        ForeignJicofo = "foreign_jicofo",
        /// The body is the health of a Jibri, but another component was expected.
        ForeignJibri = "foreign_jibri",
        /// The body is what a Jibri posts to its webhook subscribers.
        ForeignWebhook = "foreign_webhook",
        /// The body is a dump for rtcstats.
        ForeignRtcstats = "foreign_rtcstats",
        /// The body is JSON without any known key.
        Unrecognized = "unrecognized",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn each_has_a_label_of_its_own() {
        let labels: HashSet<_> = Reason::ALL.iter().map(|reason| reason.as_str()).collect();
        assert_eq!(labels.len(), Reason::ALL.len());
        assert!(labels.iter().all(|label| label.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')));
    }
}
