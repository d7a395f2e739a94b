//! What several parts of the page are made of.

use maud::{Markup, html};

/// A part of a group that the script can find again; an empty part is left out.
pub(super) fn section(key: &str, part: &Markup) -> Markup {
    html! { @if !part.0.is_empty() { section data-key=(key) { (part) } } }
}

/// A table that scrolls where it is wider than the page.
pub(super) fn table(class: Option<&str>, heads: &[&str], rows: &Markup) -> Markup {
    html! {
        div .wide { table class=[class] {
            thead { tr { @for head in heads { th scope="col" { (head) } } } }
            tbody { (rows) }
        } }
    }
}
