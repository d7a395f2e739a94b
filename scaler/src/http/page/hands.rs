//! What a person can do on the page of a group: pause and resume it, drain an instance, give it back.
//!
//! Owns the forms, which need no script. Without configured users a sentence takes their place and says how to add some.

use maud::{Markup, html};

use crate::cloud::tags::{Asked, Pause};
use crate::config::link::encoded;
use crate::control::Then;
use crate::report::GroupStatus;

/// The token that forms send; `None` where requests that change something are refused.
pub(in crate::http) type Token<'a> = Option<&'a str>;

/// The address of a form, from the page of its group.
fn address(group: &GroupStatus, action: &str) -> String {
    format!("{}/{action}?region={}", encoded(&group.asg), encoded(&group.region))
}

fn form(group: &GroupStatus, token: &str, action: &str, fields: &Markup, button: &str) -> Markup {
    html! {
        form method="post" action=(address(group, action)) data-key=(format!("form-{action}")) {
            input type="hidden" name="token" value=(token);
            (fields) " "
            button type="submit" { (button) }
        }
    }
}

fn reason(longest: usize) -> Markup {
    html! { label { "Reason " input type="text" name="reason" required maxlength=(longest) autocomplete="off"; } }
}

/// The forms of a group.
pub(crate) fn group(it: &GroupStatus, token: Token<'_>) -> Markup {
    let Some(token) = token else {
        return html! {
            h3 { "Operate" }
            p .soft { "To pause a group or to drain an instance, give the scaler users: basic_auth_users in the file of \
                       --web.config.file." }
        };
    };
    let paused = html! {
        (reason(Pause::LONGEST_REASON)) " "
        label { "for " input type="text" name="for" value="2h" required size="6" autocomplete="off"; }
    };
    let drained = html! {
        label { "Instance " input type="text" name="instance" required size="22" autocomplete="off"; } " "
        (then()) " " (reason(Asked::LONGEST_REASON))
    };
    html! {
        h3 { "Operate" }
        @if it.paused.is_some() {
            (form(it, token, "resume", &html! {}, "Resume"))
        } @else {
            (form(it, token, "pause", &paused, "Pause"))
        }
        (form(it, token, "drain", &drained, "Drain"))
        p .soft { "replace: another instance comes in its place. shrink: desired capacity goes down by one. keep: it stays \
                   drained until it is undrained. No person is cut off: an instance ends once it is empty." }
    }
}

fn then() -> Markup {
    html! {
        label { "then "
            select name="then" {
                @for then in Then::ALL { option value=(then.as_str()) { (then.as_str()) } }
            }
        }
    }
}

/// The form of one instance: to give it back if it drains, else to drain it.
pub(crate) fn instance(it: &GroupStatus, id: &str, token: Token<'_>) -> Markup {
    let Some(token) = token else { return html! {} };
    let drains =
        it.drains.iter().any(|drain| drain.instance == id) || it.drained_by_hand.iter().any(|by| by == id);
    let named = html! { input type="hidden" name="instance" value=(id); };
    if drains {
        form(it, token, "undrain", &named, "Undrain")
    } else {
        let fields = html! { (named) (then()) " " (reason(Asked::LONGEST_REASON)) };
        html! { details data-key=(format!("drain-{id}")) {
            summary { "Drain" }
            (form(it, token, "drain", &fields, "Drain"))
        } }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{Paused, sample};

    #[test]
    fn forms_are_there_where_they_would_be_accepted() {
        let page = group(&sample::group(), Some("0123")).into_string();
        assert!(page.contains(r#"action="prod-jvb/pause?region=us-east-1""#), "{page}");
        assert!(page.contains(r#"<input type="hidden" name="token" value="0123">"#), "{page}");
        let drained = instance(&sample::group(), "i-0123456789abcdef0", Some("0123")).into_string();
        assert!(drained.contains(">Undrain<"), "{drained}");
        let page = group(&sample::group(), None).into_string();
        assert!(page.contains("basic_auth_users") && !page.contains("<form"), "{page}");
        assert_eq!(instance(&sample::group(), "i-1", None).into_string(), "");
    }

    #[test]
    fn a_paused_group_can_be_resumed() {
        let paused = Some(Paused { until: None, by: None, reason: "image".to_owned() });
        let page = group(&GroupStatus { paused, ..sample::group() }, Some("0123")).into_string();
        assert!(page.contains(">Resume<") && !page.contains(">Pause<"), "{page}");
    }

    #[test]
    fn what_others_wrote_is_never_markup() {
        let evil = "<script>alert(1)</script>\"'&";
        let mut it = sample::group();
        (it.asg, it.region, it.drains[0].instance) = (evil.to_owned(), evil.to_owned(), evil.to_owned());
        for page in [group(&it, Some(evil)), instance(&it, evil, Some("0"))] {
            let page = page.into_string();
            assert!(!page.contains("<script>") && page.contains("&lt;script&gt;"), "{page}");
        }
    }
}
