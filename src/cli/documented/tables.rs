//! The tables of docs/cli.md, and whether an object is as one of them says.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

const PAGE: &str = include_str!("../../../docs/cli.md");

/// The first cells of the tables with this header below a heading, as pairs with the second.
pub(crate) fn table(heading: &str, header: &str) -> Vec<(String, String)> {
    let mut lines = PAGE.lines().skip_while(|line| *line != heading);
    assert!(lines.next().is_some(), "no heading `{heading}`");
    let level = heading.chars().take_while(|letter| *letter == '#').count();
    let is_heading = |line: &str| {
        let marks = line.chars().take_while(|letter| *letter == '#').count();
        (1..=level).contains(&marks)
    };
    let mut in_table = false;
    let mut rows = Vec::new();
    for line in lines.take_while(|line| !is_heading(line)) {
        if line == header {
            in_table = true;
        } else if !line.starts_with('|') {
            in_table = false;
        } else if in_table && !line.starts_with("|---") {
            let mut cells = line.trim_matches('|').split(" | ").map(str::trim);
            let (first, second) = (cells.next(), cells.next());
            rows.push((
                first.unwrap_or_default().to_owned(),
                second.unwrap_or_default().to_owned(),
            ));
        }
    }
    rows
}

/// Fields and types below a heading.
fn fields(heading: &str) -> BTreeMap<String, String> {
    let rows = table(heading, "| field | type | meaning |");
    assert!(!rows.is_empty(), "no fields below `{heading}`");
    let count = rows.len();
    let fields: BTreeMap<_, _> = rows
        .into_iter()
        .map(|(field, kind)| (field.trim_matches('`').to_owned(), kind))
        .collect();
    assert_eq!(
        fields.len(),
        count,
        "a field is there twice below `{heading}`"
    );
    fields
}

/// Whether a value is of one of the types that a cell names.
fn is_of(value: &Value, kinds: &str) -> bool {
    let kinds = kinds.split(", ").next().unwrap_or_default();
    kinds.split(" or ").any(|kind| {
        let all = |is: fn(&Value) -> bool| value.as_array().is_some_and(|list| list.iter().all(is));
        match kind {
            "null" => value.is_null(),
            "string" => value.is_string(),
            "boolean" => value.is_boolean(),
            "integer" => value.is_u64(),
            "number" => value.is_f64(),
            "object" => value.is_object(),
            "list of strings" => all(Value::is_string),
            "list of objects" => all(Value::is_object),
            "map of integers" => value
                .as_object()
                .is_some_and(|map| map.values().all(Value::is_u64)),
            _ => panic!("the page has a type `{kind}`"),
        }
    })
}

/// Checks an object's fields below a prefix; gives those that it has.
fn check(
    object: &Value,
    prefix: &str,
    fields: &BTreeMap<String, String>,
    seen: &mut BTreeSet<String>,
) {
    let object = object.as_object().expect("an object");
    for (name, value) in object {
        let field = format!("{prefix}{name}");
        let Some(kinds) = fields.get(&field) else {
            panic!("`{field}` is not documented");
        };
        assert!(is_of(value, kinds), "`{field}` is not {kinds}: {value}");
        match value {
            Value::Object(_) if !kinds.starts_with("map") => {
                check(value, &format!("{field}."), fields, seen);
            }
            Value::Array(list) if kinds.contains("objects") => {
                for item in list {
                    check(item, &format!("{field}[]."), fields, seen);
                }
            }
            _ => {}
        }
        seen.insert(field);
    }
    // What is documented without further ado is there.
    for (field, kinds) in fields {
        let Some(name) = field.strip_prefix(prefix) else {
            continue;
        };
        if !name.contains('.') && !kinds.contains("optional") {
            assert!(object.contains_key(name), "`{field}` is not there");
        }
    }
}

/// Objects have exactly the fields below a heading, of these types: each only such, and all of them together every
/// one.
pub(crate) fn assert_documented(heading: &str, objects: &[&Value]) {
    let fields = fields(heading);
    let mut seen = BTreeSet::new();
    for object in objects {
        check(object, "", &fields, &mut seen);
    }
    let documented: BTreeSet<_> = fields.into_keys().collect();
    let unseen: Vec<_> = documented.difference(&seen).collect();
    assert!(
        unseen.is_empty(),
        "below `{heading}`, but never printed: {unseen:?}"
    );
}
