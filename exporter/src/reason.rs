//! Why a target is not up: a closed set, so that it can be a label.

/// Why the statistics of a target were not had, or not understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// The name has no address.
    Dns,
    /// Nothing listens there.
    Refused,
    /// No connection for another cause, as no route.
    Connect,
    /// No agreement on TLS, or a certificate that is not trusted.
    Tls,
    /// The address is outside of what may be probed.
    Forbidden,
    /// The deadline passed first.
    Timeout,
    /// The connection broke before the body was complete.
    Interrupted,
    /// The answer is no HTTP.
    Protocol,
    /// 3xx, which is not followed.
    Redirect,
    /// 401 or 403.
    Unauthorized,
    /// The module's password or token cannot be read.
    Credentials,
    /// 404.
    NotFound,
    /// Another status than 200.
    Status,
    /// The body is larger than is read.
    TooLarge,
    /// There is no body.
    Empty,
    /// The body is `{}`.
    EmptyObject,
    /// The body is a page for people.
    Html,
    /// The JSON stops in the middle.
    Truncated,
    /// The body is no JSON.
    Malformed,
    /// Statistics of a JVB, expected elsewhere.
    ForeignJvb,
    /// Statistics of a Jicofo, expected elsewhere.
    ForeignJicofo,
    /// Health of a Jibri, expected elsewhere.
    ForeignJibri,
    /// What a Jibri posts to its webhook subscribers.
    ForeignWebhook,
    /// A dump for rtcstats.
    ForeignRtcstats,
    /// JSON in which nothing is known.
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

    /// The reason as a label value.
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
