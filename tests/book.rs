//! The documents: their commands run, their links lead somewhere, the book has all of them.
#![expect(clippy::print_stderr, reason = "a test that is skipped must say so")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Every Markdown document of the repository that readers are sent to.
fn documents() -> Vec<PathBuf> {
    let mut documents = Vec::new();
    for folder in [".", "docs"] {
        for entry in fs::read_dir(root().join(folder)).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.extension().is_some_and(|extension| extension == "md") {
                documents.push(path);
            }
        }
    }
    assert!(documents.len() > 20, "{documents:?}");
    documents.sort();
    documents
}

/// The lines of a document that are not code.
fn prose(text: &str) -> String {
    let mut is_code = false;
    let lines = text.lines().filter(|line| {
        let is_fence = line.trim_start().starts_with("```");
        is_code ^= is_fence;
        !is_code && !is_fence
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// Where a document's links go: what stands in `](…)`.
fn links(text: &str) -> Vec<String> {
    let prose = prose(text);
    let ends = prose.split("](").skip(1);
    let targets = ends.filter_map(|rest| rest.split_once(')'));
    targets
        .map(|(target, _)| target.trim().to_owned())
        .collect()
}

/// The anchors of a document, as GitHub and mdBook make them of its headings.
fn anchors(text: &str) -> BTreeSet<String> {
    let prose = prose(text);
    let headings = prose.lines().filter(|line| line.starts_with('#'));
    headings
        .map(|line| {
            let heading = line.trim_start_matches('#').trim().to_lowercase();
            let kept = heading
                .chars()
                .filter(|c| c.is_alphanumeric() || " -_".contains(*c));
            kept.map(|c| if c == ' ' { '-' } else { c }).collect()
        })
        .collect()
}

#[test]
fn links_lead_somewhere() {
    let mut dead = Vec::new();
    let mut followed = 0;
    for document in documents() {
        let text = read(&document);
        for link in links(&text) {
            if link.starts_with("https://") || link.starts_with("http://") {
                continue;
            }
            followed += 1;
            let (path, anchor) = link.split_once('#').unwrap_or((&link, ""));
            let target = match path {
                "" => document.clone(),
                path => document.parent().expect("a folder").join(path),
            };
            let is_there =
                target.exists() && (anchor.is_empty() || anchors(&read(&target)).contains(anchor));
            if !is_there {
                dead.push(format!("{}: {link}", document.display()));
            }
        }
    }
    assert!(followed > 50, "{followed}");
    assert!(dead.is_empty(), "{}", dead.join("\n"));
}

#[test]
fn the_book_has_every_page_once() {
    let docs = root().join("docs");
    let listed = links(&read(&docs.join("SUMMARY.md")));
    let once: BTreeSet<_> = listed.iter().cloned().collect();
    assert_eq!(listed.len(), once.len(), "no page twice");
    let files = documents()
        .into_iter()
        .filter(|path| path.starts_with(&docs));
    let names = files.map(|path| {
        path.file_name()
            .expect("a name")
            .to_string_lossy()
            .into_owned()
    });
    let pages: BTreeSet<_> = names.filter(|name| name != "SUMMARY.md").collect();
    assert_eq!(once, pages);
}

/// Blocks of Rust are tests of the documentation: the library includes each document that has some.
#[test]
fn blocks_of_rust_are_tested() {
    let library = read(&root().join("src/lib.rs"));
    let mut tested = 0;
    for document in documents() {
        let text = read(&document);
        let opened: Vec<&str> = text
            .lines()
            .filter(|line| line.starts_with("```"))
            .collect();
        // Fences come in pairs; one without a language would be taken for Rust.
        let languages = opened
            .iter()
            .step_by(2)
            .map(|line| line.trim_start_matches('`'));
        let has_rust = languages
            .clone()
            .any(|language| language.starts_with("rust"));
        let name = document
            .strip_prefix(root())
            .expect("in the repository")
            .display()
            .to_string();
        if has_rust {
            tested += 1;
            let include = format!("include_str!(\"../{name}\")");
            assert!(library.contains(&include), "{name}: its Rust is not tested");
            assert!(
                languages.clone().all(|language| !language.is_empty()),
                "{name}: name each language"
            );
            assert!(
                languages
                    .clone()
                    .all(|language| !language.contains("ignore")),
                "{name}"
            );
        }
    }
    assert!(tested >= 4, "{tested}");
}

/// A block of commands that is marked to be run.
struct Block {
    commands: String,
    needs_clang: bool,
    exit: i32,
}

/// What `<!-- run -->`, `<!-- run: clang -->` and `<!-- run: exit N -->` mark.
fn blocks(text: &str) -> Vec<Block> {
    let marked = text.split("<!-- run").skip(1);
    marked
        .map(|rest| {
            let (mark, rest) = rest
                .split_once("-->\n```sh\n")
                .expect("a block behind its mark");
            let (commands, _) = rest.split_once("\n```").expect("an end");
            let mark = mark.trim_start_matches(':').trim();
            Block {
                commands: commands.to_owned(),
                needs_clang: mark == "clang",
                exit: match mark.strip_prefix("exit ") {
                    Some(code) => code.parse().expect("an exit code"),
                    None => 0,
                },
            }
        })
        .collect()
}

fn has_clang() -> bool {
    let version = Command::new("clang").arg("--version").output();
    version.is_ok_and(|output| output.status.success())
}

/// The commands of the tutorial, by the built binary, one after another in one folder.
#[test]
fn the_tutorial_runs() {
    let tutorial = read(&root().join("docs/tutorial.md"));
    let blocks = blocks(&tutorial);
    assert!(blocks.len() >= 10, "{}", blocks.len());
    assert!(blocks.iter().any(|block| block.exit != 0) && blocks.iter().any(|b| b.needs_clang));
    let folder = tempfile::tempdir().expect("a folder");
    let binary = Path::new(env!("CARGO_BIN_EXE_zkbpf"));
    let path = std::env::var("PATH").expect("a path");
    let path = format!("{}:{path}", binary.parent().expect("a folder").display());
    for Block {
        commands,
        needs_clang,
        exit,
    } in blocks
    {
        if needs_clang && !has_clang() {
            eprintln!(
                "SKIPPED: there is no clang; the committed object stands in for `{commands}`"
            );
            let object = root().join("examples/programs/luhn.o");
            fs::copy(object, folder.path().join("luhn.o")).expect("copied");
            continue;
        }
        let output = Command::new("bash")
            .args(["-euo", "pipefail", "-c", &commands])
            .current_dir(folder.path())
            .env("PATH", &path)
            .env(
                "XDG_CACHE_HOME",
                Path::new(env!("CARGO_TARGET_TMPDIR")).join("tutorial"),
            )
            .output()
            .expect("bash");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let (out, err) = (text(&output.stdout), text(&output.stderr));
        assert_eq!(output.status.code(), Some(exit), "{commands}\n{out}{err}");
        // What the text around them says that they show.
        for (command, shown) in [("zkbpf run", "r0 = 0x1"), ("zkbpf inspect", "NOT VERIFIED")] {
            assert!(
                !commands.starts_with(command) || out.contains(shown),
                "{commands}\n{out}"
            );
        }
    }
    // The program of the tutorial is the one that is committed.
    let written = read(&folder.path().join("luhn.c"));
    assert_eq!(written, read(&root().join("examples/programs/luhn.c")));
    assert!(folder.path().join("luhn.html").exists());
}
