//! The page at `/`: the configured targets as they answer at this moment, and a form for probes.
//!
//! Owns the HTML. What targets answer is text there, and the page needs no script.

use std::sync::LazyLock;
use std::time::Duration;

use jitsi_web::build_info::LONG_VERSION;
use jitsi_web::page::Policy;
use maud::{DOCTYPE, Markup, PreEscaped, html};

use crate::component::{Component, Refusal};

const STYLE: &str = include_str!("landing.css");

/// The content security policy of the page.
pub static CONTENT_POLICY: LazyLock<String> =
    LazyLock::new(|| Policy { style: STYLE, script: None, has_forms: true }.header());

/// A configured target, as it has just answered.
#[derive(Clone, Copy, Debug)]
pub struct Look<'l> {
    /// The component that should run there.
    pub component: Component,
    /// Its address, without credentials.
    pub target: &'l str,
    /// Why it is not up; `None` if it is.
    pub refusal: Option<&'l Refusal>,
    /// How long the answer took.
    pub took: Duration,
}

/// The page. `metrics` is the path of the metrics, and `probe` that of probes.
#[must_use]
pub fn page((metrics, probe): (&str, &str), modules: &[String], looks: &[Look<'_>]) -> String {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                // Without an icon here, a browser requests one at the top of the site.
                link rel="icon" href="data:,";
                title { "jitsi-exporter" }
                style { (PreEscaped(STYLE)) }
            }
            body {
                h1 { "jitsi-exporter" }
                p { "Prometheus metrics from the statistics of Jitsi Videobridge, Jicofo and Jibri." }
                p .soft { "Version " (LONG_VERSION) }
                ul {
                    li { a href=(metrics) { "Metrics" } }
                    li { a href="/-/healthy" { "Health" } }
                    li { a href="/-/ready" { "Readiness" } }
                }
                h2 { "Targets" }
                (targets(looks))
                h2 { "Probe" }
                form action=(probe) {
                    p { label { "Module " select name="module" { @for module in modules { option { (module) } } } } }
                    p { label { "Target " input name="target" placeholder="127.0.0.1:8080" required; } }
                    p { label { "Show how each key was used " input type="checkbox" name="debug" value="true"; } }
                    p { button { "Probe" } }
                }
            }
        }
    };
    page.into_string()
}

fn targets(looks: &[Look<'_>]) -> Markup {
    html! {
        @if looks.is_empty() {
            p { "No target is configured; this exporter only answers probes." }
        } @else {
            p .soft { "As they answer now. Reload the page to ask again." }
            div .wide { table {
                thead { tr { @for head in ["Component", "Target", "State", "Took"] { th scope="col" { (head) } } } }
                tbody { @for look in looks {
                    tr {
                        td { (look.component) }
                        td { (look.target) }
                        td { (state(*look)) }
                        td { (look.took.as_millis()) " ms" }
                    }
                } }
            } }
        }
    }
}

fn state(look: Look<'_>) -> Markup {
    let Some(Refusal { reason, detail }) = look.refusal else {
        return html! { span .up { "● up" } };
    };
    html! {
        span .down { "⚠ not up" } " (" (reason.as_str()) "): " (look.component.advice(*reason))
        @if !detail.is_empty() { div .soft { (detail) } }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reason::Reason;

    const PATHS: (&str, &str) = ("/metrics", "/probe");

    fn look(refusal: Option<&Refusal>) -> Look<'_> {
        Look { component: Component::Jvb, target: "10.0.0.7:8080", refusal, took: Duration::from_millis(12) }
    }

    #[test]
    fn a_target_that_is_up_says_so() {
        let page = page(PATHS, &[], &[look(None)]);
        assert!(page.contains("<td>jvb</td><td>10.0.0.7:8080</td>"), "{page}");
        assert!(page.contains("● up</span></td><td>12 ms</td>") && !page.contains("⚠"), "{page}");
    }

    #[test]
    fn a_target_that_is_not_up_says_why_and_what_to_do() {
        let refusal = Refusal { reason: Reason::Refused, detail: "connection refused".into() };
        let page = page(PATHS, &[], &[look(Some(&refusal)), look(None)]);
        assert!(
            page.contains("⚠ not up</span> (refused): the connection was refused: the bridge is down"),
            "{page}"
        );
        assert!(page.contains("● up"), "the second target is up");
    }

    #[test]
    fn without_targets_it_says_so() {
        let page = page(PATHS, &[], &[]);
        assert!(page.contains("this exporter only answers probes") && !page.contains("<table>"), "{page}");
    }

    #[test]
    fn what_comes_from_outside_is_text() {
        let evil = "<script>alert(1)</script>\"'&";
        let refusal = Refusal { reason: Reason::Malformed, detail: evil.into() };
        let hostile = Look { target: evil, ..look(Some(&refusal)) };
        let page = page(PATHS, &[evil.to_owned()], &[hostile]);
        assert!(!page.contains("<script"), "{page}");
        assert_eq!(page.matches("&lt;script&gt;alert(1)&lt;/script&gt;&quot;").count(), 3, "{page}");
    }

    #[test]
    fn the_page_has_its_version_one_style_and_no_script() {
        let page = page(PATHS, &[], &[]);
        assert!(page.contains(LONG_VERSION), "{page}");
        assert_eq!((page.matches("<style>").count(), page.matches("style=").count()), (1, 0));
        assert!(page.contains("prefers-color-scheme:dark") && page.contains(STYLE), "{page}");
        assert!(CONTENT_POLICY.contains("form-action 'self'") && !CONTENT_POLICY.contains("script-src"));
    }
}
