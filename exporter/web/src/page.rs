//! Answers with pages for people. Their headers allow a browser to load only the page's own style and script.

use aws_lc_rs::digest::{SHA256, digest};
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS};
use axum::response::{Html, IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// What a page may load and do.
#[derive(Clone, Copy, Debug)]
pub struct Policy {
    /// The text of its one `<style>`.
    pub style: &'static str,
    /// The text of its one `<script>`, which may ask the program that serves the page; `None` without one.
    pub script: Option<&'static str>,
    /// Whether its forms may be sent to the program that serves it.
    pub has_forms: bool,
}

impl Policy {
    /// The value of the header `Content-Security-Policy`.
    #[must_use]
    pub fn header(&self) -> String {
        let hash = |text: &str| format!("'sha256-{}'", STANDARD.encode(digest(&SHA256, text.as_bytes())));
        let mut header = format!("default-src 'none'; img-src data:; style-src {}; ", hash(self.style));
        if let Some(script) = self.script {
            header.push_str(&format!("script-src {}; connect-src 'self'; ", hash(script)));
        }
        let forms = if self.has_forms { "'self'" } else { "'none'" };
        header.push_str(&format!("base-uri 'none'; form-action {forms}; frame-ancestors 'none'"));
        header
    }
}

/// The answer with a page, whose policy is the header `policy`.
#[must_use]
pub fn answer(status: StatusCode, policy: &str, page: String) -> Response {
    let headers = [
        (CONTENT_SECURITY_POLICY, policy),
        (CACHE_CONTROL, "no-store"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (REFERRER_POLICY, "no-referrer"),
    ];
    (status, headers, Html(page)).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    // Each hash is that of `printf %s TEXT | openssl dgst -sha256 -binary | base64`.
    #[test]
    fn a_page_may_load_its_own_style_and_script_alone() {
        let policy = Policy { style: "body{}", script: Some("run()"), has_forms: false };
        assert_eq!(
            policy.header(),
            "default-src 'none'; img-src data:; style-src 'sha256-fJgEClQWV1hGkK4qHMO0KotTsVnMYMXTq7/suurGyUo='; script-src 'sha256-AvyuiL0SD1mVY3NNxR+V2uo+lhk6RMFrytWmRt6CrJQ='; \
             connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        );
        let policy = Policy { script: None, has_forms: true, ..policy };
        assert_eq!(
            policy.header(),
            "default-src 'none'; img-src data:; style-src 'sha256-fJgEClQWV1hGkK4qHMO0KotTsVnMYMXTq7/suurGyUo='; base-uri 'none'; form-action 'self'; \
             frame-ancestors 'none'"
        );
    }
}
