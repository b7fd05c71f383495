//! Renders the page `/docs` from the route table and the descriptions.

use std::fmt::Write as _;

use http::Method;
use serde_json::Value;

use super::{
    super::{
        describe::{Description, Tag},
        route::{Access, Route},
        routes,
    },
    html::{escape, prose},
};
use crate::error::Problem;

/// The facts that a reader needs before the routes.
const BASICS: [(&str, &str); 5] = [
    (
        "Send a token",
        "Send exactly one header `Authorization: Bearer <JWT>` with a token of your company's identity provider. In the lines below, `$H` is a file with that header, so that the token does not get into the shell's history.",
    ),
    (
        "Note the request's id",
        "Every answer has an `X-Request-Id`. Quote it when you ask for help. You can send one of your own, 1 to 64 of the characters `A-Za-z0-9._-`, and the gateway keeps it.",
    ),
    (
        "Try a dry run",
        "With `?dryRun=true` the gateway does everything except the write: it asks the policy, checks the vNIC, and returns what it would send.",
    ),
    (
        "Read errors",
        "Each is a problem document: `detail` says what to do next, `code` is for programs, and `type` leads to an explanation. After a 503 nothing was sent: wait as `Retry-After` says and try again. After a 502 or 504 to a write, check whether it happened before you repeat it.",
    ),
    (
        "Write plainly",
        "The gateway reads queries and paths literally, without percent decoding. It refuses unknown or repeated keys and fields, and never ignores them.",
    ),
];

/// The whole page.
pub(super) fn render() -> String {
    let mut nav = String::new();
    let mut main = String::new();
    for tag in Tag::ALL {
        let (name, title) = (tag.name(), escape(tag.title()));
        let _ = write!(nav, "<p>{title}</p>\n<ul>\n");
        let _ = writeln!(main, "<h2 id=\"tag-{name}\">{title}</h2>");
        for route in routes::all() {
            let described = (route.describe)();
            if described.tag == tag {
                let (id, method) = (described.id, route.method.as_str());
                let _ = writeln!(
                    nav,
                    "<li><a href=\"#{id}\"><b class=\"{method}\">{method}</b> {}</a></li>",
                    breakable(route.path)
                );
                main.push_str(&operation(route, &described));
            }
        }
        nav.push_str("</ul>\n");
    }
    nav.push_str("<p><a href=\"#problems\">Problems</a></p>\n");
    let basics = BASICS
        .iter()
        .map(|(title, text)| format!("<dt>{}</dt><dd>{}</dd>\n", escape(title), prose(text)))
        .collect::<Vec<_>>()
        .concat();
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<title>zec-gateway</title>\n\
         <link rel=\"stylesheet\" href=\"/docs/style.css\">\n<link rel=\"icon\" href=\"data:,\">\n</head>\n<body>\n\
         <header><h1>zec-gateway <small>{version}</small></h1>\n\
         <p>A policy gateway in front of Zenlayer Elastic Compute. For programs: <a href=\"/openapi.json\">openapi.json</a>.</p></header>\n\
         <nav aria-label=\"Contents\">\n{nav}</nav>\n<main>\n<h2 id=\"basics\">Basics</h2>\n<dl>\n{basics}</dl>\n\
         {main}{problems}</main>\n</body>\n</html>\n",
        version = env!("CARGO_PKG_VERSION"),
        problems = problems(),
    )
}

/// A path that may wrap after its slashes.
fn breakable(route: &str) -> String {
    escape(route).replace('/', "/<wbr>")
}

fn operation(route: &Route, described: &Description) -> String {
    let token = match route.access() {
        Access::Public => " <em>no token needed</em>",
        Access::Caller => "",
    };
    format!(
        "<section id=\"{id}\">\n<h3><a href=\"#{id}\">{summary}</a></h3>\n\
         <p class=\"route\"><b class=\"{method}\">{method}</b> <code>{path}</code>{token}</p>\n<p>{text}</p>\n\
         {parameters}<pre class=\"curl\"><code>{curl}</code></pre>\n<p class=\"ok\"><b>200</b> {success}.</p>\n{example}{problems}</section>\n",
        id = described.id,
        summary = escape(described.summary),
        method = route.method,
        path = breakable(route.path),
        text = prose(described.text),
        parameters = parameters(described),
        curl = escape(&curl(route, described)),
        success = prose(described.success),
        example = example(described),
        problems = problem_links(route),
    )
}

fn curl(route: &Route, described: &Description) -> String {
    let method = match &route.method {
        &Method::GET => String::new(),
        other => format!(" -X {other}"),
    };
    let header = match route.access() {
        Access::Public => "",
        Access::Caller => " -H @$H",
    };
    format!("curl{method}{header} {}", described.curl.replace("{gateway}", "http://127.0.0.1:8080"))
}

fn parameters(described: &Description) -> String {
    let mut rows = String::new();
    for parameter in &described.parameters {
        let text = |name: &str| parameter.get(name).and_then(Value::as_str).unwrap_or_default();
        let old = parameter.get("deprecated").is_some();
        let _ = writeln!(
            rows,
            "<dt><code>{}</code> <em>{}{}</em></dt><dd>{}.</dd>",
            escape(text("name")),
            escape(text("in")),
            if old { ", deprecated" } else { "" },
            prose(text("description")),
        );
    }
    if let Some(body) = &described.body {
        let text = body.get("description").and_then(Value::as_str).unwrap_or_default();
        let example = body.pointer("/content/application~1json/example");
        let example = example.map(Value::to_string).unwrap_or_default();
        let _ = writeln!(
            rows,
            "<dt>body <em>application/json</em></dt><dd>{}: <code>{}</code></dd>",
            prose(text),
            escape(&example)
        );
    }
    if rows.is_empty() { rows } else { format!("<dl class=\"parameters\">\n{rows}</dl>\n") }
}

fn example(described: &Description) -> String {
    let Some(example) = &described.example else { return String::new() };
    let text = serde_json::to_string_pretty(example).unwrap_or_default();
    format!(
        "<details><summary>Example</summary><pre><code>{}</code></pre></details>\n",
        escape(&text)
    )
}

fn problem_links(route: &Route) -> String {
    let links: Vec<String> = route
        .problems()
        .map(|problem| {
            let slug = problem.slug();
            format!("<a href=\"#problem-{slug}\">{} {slug}</a>", status(problem))
        })
        .collect();
    format!(
        "<details><summary>{} problems</summary><p class=\"links\">{}</p></details>\n",
        links.len(),
        links.join(" ")
    )
}

fn status(problem: Problem) -> String {
    match problem {
        Problem::ZecRejected => "4xx".to_owned(),
        other => other.status().to_string(),
    }
}

fn problems() -> String {
    let rows = Problem::ALL
        .into_iter()
        .map(|problem| {
            format!(
                "<section id=\"problem-{slug}\" class=\"problem\"><h3><b>{status}</b> \
                 <a href=\"#problem-{slug}\">{slug}</a></h3>\n<p><code>{code}</code> {title}. {text}</p></section>\n",
                slug = problem.slug(),
                status = status(problem),
                code = problem.code(),
                title = escape(problem.title()),
                text = prose(problem.explanation()),
            )
        })
        .collect::<Vec<_>>()
        .concat();
    format!("<h2 id=\"problems\">Problems</h2>\n{rows}")
}
