//! The reasons why a target is not up, as a closed set for a label.

/// Why the statistics of a target could not be fetched or understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// The host name cannot be resolved.
    Dns,
    /// The connection was refused.
    Refused,
    /// The connection failed for another cause, such as a missing route.
    Connect,
    /// The TLS handshake failed, or the certificate is not trusted.
    Tls,
    /// The address is not allowed by `--probe.allow`.
    Forbidden,
    /// The deadline passed before the response was complete.
    Timeout,
    /// The connection broke before the response was complete.
    Interrupted,
    /// The response is not HTTP.
    Protocol,
    /// Status 3xx. Redirects are not followed.
    Redirect,
    /// Status 401 or 403.
    Unauthorized,
    /// The module's password or token cannot be read.
    Credentials,
    /// Status 404.
    NotFound,
    /// Another status that is not 200.
    Status,
    /// The body is larger than the limit.
    TooLarge,
    /// The body is empty.
    Empty,
    /// The body is `{}`.
    EmptyObject,
    /// The body is an HTML page.
    Html,
    /// The JSON is incomplete.
    Truncated,
    /// The body is not JSON.
    Malformed,
    /// The statistics are those of a JVB, but another component was expected.
    ForeignJvb,
    /// The statistics are those of a Jicofo, but another component was expected.
    ForeignJicofo,
    /// The body is the health of a Jibri, but another component was expected.
    ForeignJibri,
    /// The body is what a Jibri posts to its webhook subscribers.
    ForeignWebhook,
    /// The body is a dump for rtcstats.
    ForeignRtcstats,
    /// The body is JSON without any known key.
    Unrecognized,
}

impl Reason {
    /// All of them.
    pub const ALL: [Self; 25] = [
        Self::Dns,
        Self::Refused,
        Self::Connect,
        Self::Tls,
        Self::Forbidden,
        Self::Timeout,
        Self::Interrupted,
        Self::Protocol,
        Self::Redirect,
        Self::Unauthorized,
        Self::Credentials,
        Self::NotFound,
        Self::Status,
        Self::TooLarge,
        Self::Empty,
        Self::EmptyObject,
        Self::Html,
        Self::Truncated,
        Self::Malformed,
        Self::ForeignJvb,
        Self::ForeignJicofo,
        Self::ForeignJibri,
        Self::ForeignWebhook,
        Self::ForeignRtcstats,
        Self::Unrecognized,
    ];

    /// The value of the label `reason`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Dns => "dns",
            Self::Refused => "refused",
            Self::Connect => "connect",
            Self::Tls => "tls",
            Self::Forbidden => "forbidden",
            Self::Timeout => "timeout",
            Self::Interrupted => "interrupted",
            Self::Protocol => "protocol",
            Self::Redirect => "redirect",
            Self::Unauthorized => "unauthorized",
            Self::Credentials => "credentials",
            Self::NotFound => "not_found",
            Self::Status => "status",
            Self::TooLarge => "too_large",
            Self::Empty => "empty",
            Self::EmptyObject => "empty_object",
            Self::Html => "html",
            Self::Truncated => "truncated",
            Self::Malformed => "malformed",
            Self::ForeignJvb => "foreign_jvb",
            Self::ForeignJicofo => "foreign_jicofo",
            Self::ForeignJibri => "foreign_jibri",
            Self::ForeignWebhook => "foreign_webhook",
            Self::ForeignRtcstats => "foreign_rtcstats",
            Self::Unrecognized => "unrecognized",
        }
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
