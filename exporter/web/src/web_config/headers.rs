//! `http_server_config.headers`: the headers of answers that may be configured.

use std::collections::BTreeMap;

use axum::http::{HeaderMap, HeaderName, HeaderValue};

use crate::document::{Field, Problems};

/// Name and values; no values stand for any. The list is exporter-toolkit's, which says "to ensure
/// consistency in the Prometheus ecosystem".
const HEADERS: [(&str, HeaderName, &[&str]); 5] = [
    ("Content-Security-Policy", axum::http::header::CONTENT_SECURITY_POLICY, &[]),
    ("Strict-Transport-Security", axum::http::header::STRICT_TRANSPORT_SECURITY, &[]),
    ("X-Content-Type-Options", axum::http::header::X_CONTENT_TYPE_OPTIONS, &["nosniff"]),
    ("X-Frame-Options", axum::http::header::X_FRAME_OPTIONS, &["deny", "sameorigin"]),
    ("X-XSS-Protection", axum::http::header::X_XSS_PROTECTION, &[]),
];

/// The headers that go with every answer.
pub(super) fn headers(raw: BTreeMap<String, Field<String>>, problems: &Problems) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in raw {
        let place = value.place().clone();
        let Some((_, header, allowed)) = HEADERS.iter().find(|(known, ..)| *known == name) else {
            let known: Vec<&str> = HEADERS.iter().map(|(known, ..)| *known).collect();
            place.wrong(problems, format!("this header cannot be set; these can: {}", known.join(", ")));
            continue;
        };
        let Some(value) = value.or(String::new()) else { continue };
        if !allowed.is_empty() && !allowed.contains(&&*value) {
            place.wrong(problems, format!("must be {}, not {value:?}", allowed.join(" or ")));
            continue;
        }
        // A folded text ends with a line break; in a header they are spaces, as in exporter-toolkit.
        let value = value.replace(['\r', '\n'], " ");
        match HeaderValue::from_str(value.trim()) {
            Ok(value) if value.is_empty() => {}
            Ok(value) => drop(headers.insert(header.clone(), value)),
            Err(_) => place.wrong(problems, "contains a control character; remove it"),
        }
    }
    headers
}
