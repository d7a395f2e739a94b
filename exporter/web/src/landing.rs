//! The page at `/`: what this is, and where its pages are.

use std::fmt::Write as _;

use axum::response::Html;

/// A line of the landing page.
#[derive(Clone, Copy, Debug)]
pub struct Link<'a> {
    /// Where it leads.
    pub href: &'a str,
    /// What is there.
    pub text: &'a str,
}

/// A landing page: a heading, a sentence, and links.
pub fn page(title: &str, description: &str, links: &[Link<'_>]) -> Html<String> {
    let (title, description) = (escape(title), escape(description));
    let mut html = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n<title>{title}</title>\n\
         <style>body{{font-family:sans-serif;max-width:50em;margin:2em auto;padding:0 1em}}</style>\n\
         </head>\n<body>\n<h1>{title}</h1>\n<p>{description}</p>\n<ul>\n"
    );
    for link in links {
        writeln!(html, "<li><a href=\"{}\">{}</a></li>", escape(link.href), escape(link.text))
            .expect("a string takes every write");
    }
    html.push_str("</ul>\n</body>\n</html>\n");
    Html(html)
}

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_on_the_page_is_taken_for_markup() {
        let Html(page) = page("a <b>", "c & d", &[Link { href: "/x?a=1&b=\"", text: "<x>" }]);
        assert!(page.contains("<h1>a &lt;b&gt;</h1>"), "{page}");
        assert!(page.contains("<p>c &amp; d</p>"), "{page}");
        assert!(page.contains("<a href=\"/x?a=1&amp;b=&quot;\">&lt;x&gt;</a>"), "{page}");
    }
}
