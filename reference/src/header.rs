//! The header, taken apart. cbindgen writes it, so its form is known: a comment at the begin of a line, the
//! declaration below it, an empty line.

/// A C header of this project.
#[derive(Debug)]
pub struct Header {
    /// The comment at its head: the rules that hold for every function.
    pub rules: Vec<String>,
    /// What it declares, in its order.
    pub items: Vec<Item>,
}

/// One thing that the header declares.
#[derive(Debug)]
pub struct Item {
    /// The name that C knows it by.
    pub name: String,
    /// What it is.
    pub kind: Kind,
    /// Its comment, without the stars.
    pub comment: Vec<String>,
    /// As it stands in the header, without comments.
    pub code: Vec<String>,
    /// Of a struct: its members.
    pub members: Vec<Member>,
}

/// A member of a struct.
#[derive(Debug)]
pub struct Member {
    /// As it is declared, without the semicolon.
    pub code: String,
    /// Its comment, without the stars.
    pub comment: Vec<String>,
}

/// What a declaration declares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A macro that is a number.
    Constant,
    /// A struct.
    Struct,
    /// Any other type.
    Type,
    /// A function.
    Function,
}

impl Member {
    /// The name alone.
    pub fn name(&self) -> &str {
        let name = self.code.split('[').next().unwrap_or_default();
        name.rsplit([' ', '*']).next().unwrap_or_default()
    }
}

impl Header {
    /// Takes the text of a header apart.
    pub fn parse(text: &str) -> Self {
        let mut lines = text.lines().peekable();
        let mut header = Self {
            rules: Vec::new(),
            items: Vec::new(),
        };
        while let Some(line) = lines.next() {
            match line {
                "/*" => header.rules = comment(&mut lines),
                "/**" => {
                    let comment = comment(&mut lines);
                    let declaration: Vec<&str> =
                        lines.by_ref().take_while(|line| !line.is_empty()).collect();
                    header.items.push(Item::new(comment, &declaration));
                }
                _ => {}
            }
        }
        header
    }

    /// The item of this name.
    pub fn item(&self, name: &str) -> Option<&Item> {
        self.items.iter().find(|item| item.name == name)
    }
}

/// The rest of a comment, without the stars.
fn comment<'a>(lines: &mut impl Iterator<Item = &'a str>) -> Vec<String> {
    lines
        .take_while(|line| line.trim() != "*/")
        .map(|line| {
            let line = line.trim_start();
            let line = line.strip_prefix('*').unwrap_or(line);
            line.strip_prefix(' ').unwrap_or(line).to_owned()
        })
        .collect()
}

impl Item {
    /// Whether this is one of the numbers from `DCF_TB_OK` to `DCF_TB_ERR_PANIC`.
    pub fn is_status(&self, header: &Header) -> bool {
        let place = |name: &str| header.items.iter().position(|item| item.name == name);
        place(&self.name) >= place("DCF_TB_OK") && place(&self.name) <= place("DCF_TB_ERR_PANIC")
    }

    /// The value of a constant.
    pub fn value(&self) -> String {
        let code = self.code.concat();
        code.splitn(3, ' ').nth(2).unwrap_or_default().to_owned()
    }

    fn new(comment: Vec<String>, declaration: &[&str]) -> Self {
        let first = declaration.first().copied().unwrap_or_default();
        let kind = if first.starts_with("#define ") {
            Kind::Constant
        } else if first.starts_with("typedef struct ") {
            Kind::Struct
        } else if first.starts_with("typedef ") {
            Kind::Type
        } else {
            Kind::Function
        };
        let (code, mut members) = without_comments(declaration);
        if kind != Kind::Struct {
            members.clear(); // the arguments of a callback, which lie one below the other
        }
        Self {
            name: name(first, kind).to_owned(),
            kind,
            comment,
            code,
            members,
        }
    }
}

/// The word that a declaration's first line declares.
fn name(first: &str, kind: Kind) -> &str {
    let words = || first.split([' ', '(', ')', '*', ';', '{']);
    let mut words = words().filter(|word| !word.is_empty());
    match kind {
        Kind::Constant => words.nth(1),
        Kind::Struct => words.nth(2),
        Kind::Type | Kind::Function => words.find(|word| {
            word.starts_with("dcf_tb_") && {
                // The first name of ours is the result's type, unless nothing follows it.
                let (_, after) = first.split_once(word).unwrap_or_default();
                after.starts_with(['(', ')', ';'])
            }
        }),
    }
    .unwrap_or_default()
}

fn without_comments(declaration: &[&str]) -> (Vec<String>, Vec<Member>) {
    let mut code = Vec::new();
    let mut members = Vec::new();
    let mut said = Vec::new();
    let mut lines = declaration.iter().copied();
    while let Some(line) = lines.next() {
        if line.trim() == "/**" {
            said = comment(&mut lines);
            continue;
        }
        code.push(line.to_owned());
        if let Some(member) = line.strip_prefix("    ").and_then(|l| l.strip_suffix(';')) {
            members.push(Member {
                code: member.to_owned(),
                comment: std::mem::take(&mut said),
            });
        }
    }
    (code, members)
}

#[cfg(test)]
mod tests {
    use super::{Header, Kind};

    const HEADER: &str = include_str!("../../include/dcf_thunderbolt.h");

    #[test]
    fn every_line_of_the_header_belongs_to_something() {
        let header = Header::parse(HEADER);
        let defines = HEADER.matches("#define DCF_TB_").count() - 1; // the guard
        let of = |kind| header.items.iter().filter(|item| item.kind == kind).count();
        assert_eq!(of(Kind::Constant), defines);
        assert_eq!(of(Kind::Struct), HEADER.matches("typedef struct ").count());
        assert_eq!(
            of(Kind::Type) + of(Kind::Struct),
            HEADER.matches("typedef ").count()
        );
        assert!(of(Kind::Function) >= 35);
        let members = |item: &super::Item| item.members.len();
        assert_eq!(header.item("dcf_tb_config").map(members), Some(27));
        assert_eq!(header.item("dcf_tb_datagram").map(members), Some(3));
    }

    /// What has no comment in the header: items and members by name, and lines that begin a declaration.
    fn without_a_word(text: &str) -> Vec<String> {
        let header = Header::parse(text);
        // The whole comment of a member that is always 0 is "0.".
        let silent = |comment: &[String]| !comment.concat().contains(char::is_alphanumeric);
        let mut found = Vec::new();
        for item in &header.items {
            if item.name.is_empty() || silent(&item.comment) {
                found.push(item.code.concat());
            }
            let members = item.members.iter().filter(|member| silent(&member.comment));
            found.extend(members.map(|member| format!("{}: {}", item.name, member.code)));
        }
        let lines = || {
            text.lines()
                .skip_while(|line| !line.starts_with("#include"))
        };
        for (before, line) in lines().zip(lines().skip(1)) {
            let of_no_item = ["/*", "#if", "#endif", "#include", "extern \"C\"", "}"];
            let begins = !line.is_empty() && !of_no_item.iter().any(|mark| line.starts_with(mark));
            if before.is_empty() && begins {
                found.push(line.to_owned());
            }
        }
        found
    }

    #[test]
    fn every_item_and_member_of_the_header_has_a_comment() {
        assert_eq!(without_a_word(HEADER), Vec::<String>::new());
    }

    #[test]
    fn what_has_no_comment_is_found() {
        for uncommented in [
            "\nvoid dcf_tb_silent(void);\n",
            "\n#define DCF_TB_SILENT 1\n",
            "\n/**\n *\n */\nvoid dcf_tb_silent(void);\n",
            "\n/**\n * Said.\n */\ntypedef struct dcf_tb_silent {\n    uint32_t silent;\n} dcf_tb_silent;\n",
        ] {
            let found = without_a_word(&format!("{HEADER}{uncommented}"));
            assert_eq!(found.len(), 1, "{uncommented}: {found:?}");
        }
    }
}
