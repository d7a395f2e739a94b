//! The landing page at `/`: what the program is, links and forms.

use std::fmt::Write as _;

use axum::response::Html;

/// A link on the landing page.
#[derive(Clone, Copy, Debug)]
pub struct Link<'a> {
    /// Its destination.
    pub href: &'a str,
    /// Its text.
    pub text: &'a str,
}

/// A form on the landing page, sent as a GET request with parameters.
#[derive(Clone, Copy, Debug)]
pub struct Form<'a> {
    /// The heading and the text of the button.
    pub title: &'a str,
    /// The path that the form is sent to.
    pub action: &'a str,
    /// The fields, in order.
    pub fields: &'a [Field<'a>],
}

/// A parameter of a [`Form`].
#[derive(Clone, Copy, Debug)]
pub struct Field<'a> {
    /// The name of the parameter.
    pub name: &'a str,
    /// The label that is shown.
    pub label: &'a str,
    /// The kind of input.
    pub input: Input<'a>,
}

/// The kind of input of a [`Field`].
#[derive(Clone, Copy, Debug)]
pub enum Input<'a> {
    /// A text; the value is an example.
    Text(&'a str),
    /// One of these values.
    Choice(&'a [&'a str]),
    /// A check box that sends this value.
    Check(&'a str),
}

/// A landing page with a heading, a description and links.
pub fn page(title: &str, description: &str, links: &[Link<'_>]) -> Html<String> {
    page_with_forms(title, description, links, &[])
}

/// A landing page with forms below the links.
pub fn page_with_forms(
    title: &str,
    description: &str,
    links: &[Link<'_>],
    forms: &[Form<'_>],
) -> Html<String> {
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
    html.push_str("</ul>\n");
    for form in forms {
        write_form(&mut html, form);
    }
    html.push_str("</body>\n</html>\n");
    Html(html)
}

fn write_form(html: &mut String, form: &Form<'_>) {
    let (title, action) = (escape(form.title), escape(form.action));
    html.push_str(&format!("<h2>{title}</h2>\n<form action=\"{action}\">\n"));
    for field in form.fields {
        let (name, label) = (escape(field.name), escape(field.label));
        let input = match field.input {
            Input::Text(example) => {
                format!("<input name=\"{name}\" placeholder=\"{}\" required>", escape(example))
            }
            Input::Choice(values) => {
                let options = values.iter().map(|value| format!("<option>{}</option>", escape(value)));
                format!("<select name=\"{name}\">{}</select>", options.collect::<String>())
            }
            Input::Check(value) => {
                format!("<input type=\"checkbox\" name=\"{name}\" value=\"{}\">", escape(value))
            }
        };
        html.push_str(&format!("<p><label>{label} {input}</label></p>\n"));
    }
    html.push_str(&format!("<p><button>{title}</button></p>\n</form>\n"));
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
    fn texts_are_escaped() {
        let Html(page) = page("a <b>", "c & d", &[Link { href: "/x?a=1&b=\"", text: "<x>" }]);
        assert!(page.contains("<h1>a &lt;b&gt;</h1>"), "{page}");
        assert!(page.contains("<p>c &amp; d</p>"), "{page}");
        assert!(page.contains("<a href=\"/x?a=1&amp;b=&quot;\">&lt;x&gt;</a>"), "{page}");
    }

    #[test]
    fn a_form_has_its_fields() {
        let fields = [
            Field { name: "module", label: "Module", input: Input::Choice(&["jvb", "<j>"]) },
            Field { name: "target", label: "Target", input: Input::Text("a:\"8080\"") },
            Field { name: "debug", label: "Debug", input: Input::Check("true") },
        ];
        let Html(page) =
            page_with_forms("t", "d", &[], &[Form { title: "Probe", action: "/probe", fields: &fields }]);
        let expected = "\
<h2>Probe</h2>
<form action=\"/probe\">
<p><label>Module <select name=\"module\"><option>jvb</option><option>&lt;j&gt;</option></select></label></p>
<p><label>Target <input name=\"target\" placeholder=\"a:&quot;8080&quot;\" required></label></p>
<p><label>Debug <input type=\"checkbox\" name=\"debug\" value=\"true\"></label></p>
<p><button>Probe</button></p>
</form>
";
        assert!(page.contains(expected), "{page}");
    }
}
