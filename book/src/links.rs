//! Links in Markdown and in HTML.

/// Replaces each link of a Markdown page by what `replace` makes of its text and its target. Blocks
/// of code stay as they are.
pub fn replace(
    markdown: &str,
    mut replace: impl FnMut(&str, &str) -> Result<String, String>,
) -> Result<String, String> {
    let mut replaced = String::new();
    for (number, block) in markdown.split("```").enumerate() {
        if number > 0 {
            replaced += "```";
        }
        let is_code = number % 2 == 1;
        let mut rest = block;
        while let Some((before, after)) = rest.split_once("](").filter(|_| !is_code) {
            let link = before.rsplit_once('[').zip(after.split_once(')'));
            match link {
                Some(((before, text), (target, after))) if !target.contains(' ') => {
                    replaced += before;
                    replaced += &replace(text, target)?;
                    rest = after;
                }
                _ => {
                    replaced += before;
                    replaced += "](";
                    rest = after;
                }
            }
        }
        replaced += rest;
    }
    Ok(replaced)
}

/// The values of an attribute in HTML.
pub fn attribute<'a>(html: &'a str, name: &str) -> impl Iterator<Item = &'a str> {
    let begin = format!(" {name}=\"");
    html.match_indices(&begin)
        .filter_map(move |(place, begin)| html[place + begin.len()..].split('"').next())
        .collect::<Vec<_>>()
        .into_iter()
}

/// Whether this leads out of the documentation.
pub fn is_external(target: &str) -> bool {
    ["http:", "https:", "mailto:", "data:", "javascript:"]
        .iter()
        .any(|scheme| target.starts_with(scheme))
}

#[cfg(test)]
mod tests {
    use super::{attribute, is_external, replace};

    #[test]
    fn links_are_replaced_outside_blocks_of_code() {
        let page = "a [b](c.md#d), [`e`](f)\n```\n[g](h)\n```\n[i](j k) array[1](x)";
        let replaced = replace(page, |text, target| Ok(format!("<{text}|{target}>")));
        assert_eq!(
            replaced.unwrap(),
            "a <b|c.md#d>, <`e`|f>\n```\n[g](h)\n```\n[i](j k) array<1|x>"
        );
    }

    #[test]
    fn attributes_are_found() {
        let html = r##"<a href="x.html#y">z</a><img src="i.png"><a class="k" href="#m">"##;
        assert_eq!(
            attribute(html, "href").collect::<Vec<_>>(),
            ["x.html#y", "#m"]
        );
        assert_eq!(attribute(html, "src").collect::<Vec<_>>(), ["i.png"]);
        assert!(is_external("https://example.org") && !is_external("x.html"));
    }
}
