//! Hostile repositories: nothing but usable files is listed, what is never written is refused before anything is sent, no
//! link is followed, and honest files beside all of it are read and updated as ever.
//!
//! The servers are Git's own, without `receive.fsckObjects`: what comes is up to whoever may push there.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failed set-up fails the test")]

mod common;

use common::{
    FILES,
    arena::{Arena, Case, Then},
    head,
    kept::copy,
    plumbing::{Entry, object, put_on_main, raw, tree},
};
use tagboat_ports::{FileEntry, Repository as _, RepositoryErrorKind};
use tagboat_testkit::{BareRepository, git};

const NEVER: &str = "never written";
const LINK: &str = "symbolic link";
const TWIN: &str = "one name on some machines";
const NONE: &str = "no such file";

fn paths(files: &[FileEntry]) -> Vec<&str> {
    files.iter().map(|file| file.path.as_str()).collect()
}

#[tokio::test]
async fn links_are_not_followed() {
    let arena = Arena::new();
    let outside = arena.folder.path().join("outside.yaml").display().to_string();
    let links = [
        ("out.yaml", outside.as_str()),
        ("up", ".."),
        ("first", "second"),
        ("second", "/etc"),
        ("loop", "loop"),
        ("alias.yaml", "a.yaml"),
        ("inner", "deep"),
        ("key.yaml", "../secrets/key.yaml"),
    ];
    let paths = [
        "out.yaml",
        "up/outside.yaml",
        "first",
        "first/passwd",
        "second/passwd",
        "loop",
        "loop/loop/a.yaml",
        "alias.yaml",
        "inner/er/b.yaml",
        "key.yaml",
    ];
    let root = arena.with(links.iter().map(|(name, target)| arena.link(name, target)).collect());
    arena.holds_out(&Case { root, hidden: &paths, refused: &paths.map(|path| (path, LINK)), then: Then::Sound }).await;
}

#[tokio::test]
async fn submodules_are_no_folders() {
    let arena = Arena::new();
    let root = arena.with(vec![Entry::new("160000", "module", &"1".repeat(40))]);
    let refused = [("module", "submodule"), ("module/a.yaml", "submodule")];
    arena.holds_out(&Case { root, hidden: &["module", "module/a.yaml"], refused: &refused, then: Then::Sound }).await;
}

#[tokio::test]
async fn what_configures_git_is_never_written_however_it_is_spelled() {
    let arena = Arena::new();
    let names = [
        ".git",
        ".git ",
        ".git.",
        ".g\u{200c}it",
        ".git\\config",
        ".git::$INDEX_ALLOCATION",
        "GITMOD~1",
        ".gitmodules",
        ".gitattributes",
    ];
    let mut hostile: Vec<Entry> = names.iter().map(|name| arena.file(name)).collect();
    hostile.push(arena.folder(".GIT", &[arena.file("config.yaml")]));
    hostile.push(arena.folder("git~1", &[arena.file("config")]));
    let mut refused = names.map(|name| (name, NEVER)).to_vec();
    refused.extend([(".GIT/config.yaml", NEVER), ("git~1/config", NEVER), (".gitignore", NEVER)]);
    arena.holds_out(&Case { root: arena.with(hostile), hidden: &[], refused: &refused, then: Then::Landed }).await;
}

#[tokio::test]
async fn what_configures_the_forge_or_tagboat_is_never_written() {
    let arena = Arena::new();
    let workflows = arena.folder("workflows", &[arena.file("x.yaml")]);
    let hostile = vec![
        arena.file("CODEOWNERS"),
        arena.folder("docs", &[arena.file("CODEOWNERS")]),
        arena.folder(".github", &[workflows]),
        arena.folder(".forgejo", &[arena.file("x.yaml")]),
        arena.file(".gitattributes"),
        arena.file(".tagboat.yaml"),
    ];
    let paths = [
        "CODEOWNERS",
        "docs/CODEOWNERS",
        ".github/workflows/x.yaml",
        ".forgejo/x.yaml",
        ".gitattributes",
        ".tagboat.yaml",
    ];
    let refused = paths.map(|path| (path, NEVER));
    arena.holds_out(&Case { root: arena.with(hostile), hidden: &[], refused: &refused, then: Then::Sound }).await;
}

#[tokio::test]
async fn names_that_lead_out_of_a_folder_are_no_names() {
    let arena = Arena::new();
    let root = arena.with(vec![arena.folder("..", &[arena.file("outside.yaml")]), arena.file(".")]);
    let paths = ["..", "../outside.yaml", ".", "./a.yaml", "", "/a.yaml", "deep//er/b.yaml", "deep/../a.yaml"];
    let refused = paths.map(|path| (path, NEVER));
    arena.holds_out(&Case { root, hidden: &[], refused: &refused, then: Then::Landed }).await;
}

#[tokio::test]
async fn a_file_with_slashes_in_its_name_is_not_the_file_at_that_path() {
    let arena = Arena::new();
    let root = arena.with(vec![arena.file("deep/er/b.yaml"), arena.file("x/y.yaml")]);
    let refused = [("x/y.yaml", NONE)];
    arena.holds_out(&Case { root, hidden: &["x/y.yaml"], refused: &refused, then: Then::LandedOrRefused }).await;
}

#[tokio::test]
async fn a_folder_with_a_slash_in_its_name_is_not_the_folder_at_that_path() {
    let arena = Arena::new();
    let root = arena.with(vec![arena.folder("deep/er", &[arena.file("b.yaml"), arena.file("c.yaml")])]);
    let refused = [("deep/er/c.yaml", NONE)];
    arena.holds_out(&Case { root, hidden: &["deep/er/c.yaml"], refused: &refused, then: Then::LandedOrRefused }).await;
}

#[tokio::test]
async fn names_of_any_bytes_do_no_harm() {
    let arena = Arena::new();
    let mut hostile: Vec<Entry> =
        ["a\\b.yaml", "deep\\er\\b.yaml", "line\nbreak.yaml", "\u{1}\u{1f}\u{7f}.yaml", " ", "..."]
            .iter()
            .map(|name| arena.file(name))
            .collect();
    hostile.extend([
        arena.file(b"\xff\xfe.yaml"),
        arena.file(b"caf\xc3"),
        arena.folder("..\\", &[arena.file("x.yaml")]),
    ]);
    let refused = [
        ("a\\b.yaml", NEVER),
        ("deep\\er\\b.yaml", NEVER),
        ("..\\/x.yaml", NEVER),
        (" ", NEVER),
        ("...", NEVER),
        ("\u{fffd}\u{fffd}.yaml", NONE),
        ("caf\u{fffd}", NONE),
    ];
    let hidden = ["\u{fffd}\u{fffd}.yaml", "caf\u{fffd}"];
    arena.holds_out(&Case { root: arena.with(hostile), hidden: &hidden, refused: &refused, then: Then::Sound }).await;
}

#[tokio::test]
async fn twins_are_never_written() {
    let arena = Arena::new();
    let files = ["Web.yaml", "web.yaml", "caf\u{e9}.yaml", "cafe\u{301}.yaml", "solo.yaml", "so\u{200d}lo.yaml"];
    let mut hostile: Vec<Entry> = files.iter().map(|name| arena.file(name)).collect();
    hostile.extend(["apps", "Apps"].map(|name| arena.folder(name, &[arena.file("x.yaml")])));
    let mut refused = files.map(|path| (path, TWIN)).to_vec();
    refused.extend([("apps/x.yaml", TWIN), ("Apps/x.yaml", TWIN)]);
    arena.holds_out(&Case { root: arena.with(hostile), hidden: &[], refused: &refused, then: Then::Sound }).await;
}

#[tokio::test]
async fn a_name_that_stands_twice_in_a_folder_is_never_written() {
    let arena = Arena::new();
    let other = Entry::new("100644", "web.yaml", &arena.blob("image: other:1\n"));
    let both = arena.folder("both", &[arena.file("x.yaml")]);
    let root = arena.with(vec![arena.file("web.yaml"), other, arena.file("both"), both]);
    let refused = [("web.yaml", TWIN), ("both", TWIN), ("both/x.yaml", "both")];
    arena.holds_out(&Case { root, hidden: &[], refused: &refused, then: Then::Landed }).await;
}

#[tokio::test]
async fn files_are_no_folders_and_folders_no_files() {
    let arena = Arena::new();
    let root = arena.with(vec![arena.folder("b.yaml", &[arena.file("x.yaml")])]);
    let refused = [
        ("b.yaml", "is a folder"),
        ("deep", "is a folder"),
        ("deep/er", "is a folder"),
        ("a.yaml/x.yaml", "is not a folder"),
        ("deep/er/b.yaml/x.yaml", "is not a folder"),
        ("missing.yaml", NONE),
        ("missing/x.yaml", NONE),
    ];
    arena.holds_out(&Case { root, hidden: &["b.yaml"], refused: &refused, then: Then::Sound }).await;
}

/// Whoever looks for a name with a binary search finds some of them and not others.
#[tokio::test]
async fn names_that_are_out_of_order_are_not_taken_for_missing() {
    let arena = Arena::new();
    let mut root = arena.with(vec![arena.file("m.yaml"), arena.file("z.yaml")]);
    root.reverse();
    arena.holds_out(&Case { root, hidden: &[], refused: &[], then: Then::LandedOrRefused }).await;
}

/// Git serves no such tree, whose name it calls empty; another server may. So it is put into the mirror as if it had come.
#[tokio::test]
async fn names_that_are_empty_are_no_names() {
    let arena = Arena::new();
    let first = head(&arena.repository).await;
    let root = arena.with(vec![arena.file(""), arena.folder("", &[arena.file("x.yaml")])]);
    let root = arena.tree(&root);
    let hostile = git(&arena.server.path(), &["commit-tree", &root, "-m", "Hostile"]).trim().to_owned();
    copy(&arena.server.path().join("objects"), &arena.folder.path().join("mirror.git/objects"));
    arena.lists_only_usable_files(&first, &hostile, &[]).await;
    arena.refuses(&hostile, &[("", NEVER), ("/x.yaml", NEVER)]).await;
    arena.pushes_honest_files(&first).await;
}

/// As above, with what is no tree at all. The mirror is fetched anew, since it might be the mirror's fault.
#[tokio::test]
async fn a_tree_that_is_none_is_thrown_away() {
    let arena = Arena::new();
    let first = head(&arena.repository).await;
    let mirror = arena.folder.path().join("mirror.git");
    let trees: [&[u8]; 5] = [b"100644 a.yaml\0short", b"100644", b"no mode\0", b"100644 a.yaml", b"\0"];
    for bytes in trees {
        let root = object(&mirror, "tree", bytes);
        let hostile = git(&mirror, &["commit-tree", &root, "-m", "Hostile"]).trim().to_owned();
        let error = arena.repository.files(&hostile.parse().unwrap()).await.unwrap_err();
        // No branch is there, so nobody has it any more.
        assert_eq!(error.kind, RepositoryErrorKind::Temporary, "{error}");
        assert!(error.to_string().contains("is not known any more"), "{error}");
        assert_eq!(head(&arena.repository).await, first);
    }
    arena.pushes_honest_files(&first).await;
    arena.server.check_integrity();
}

#[tokio::test]
async fn a_hundred_folders_in_each_other_are_fine_and_ten_thousand_are_passed_over() {
    let [high, deep] = [100, 10_000].map(|count| format!("{}image.yaml", "d/".repeat(count)));
    let mut files = FILES.map(|(path, text)| (path.to_owned(), text.to_owned())).to_vec();
    files.extend([&high, &deep].map(|path| (path.clone(), "image: web:1\n".to_owned())));
    let arena = Arena::of(BareRepository::with_many(files.into_iter()));
    // Without it Git serves no more than 2,048 of them.
    git(&arena.server.path(), &["config", "core.maxTreeDepth", "20000"]);
    let base = head(&arena.repository).await;
    let listed = arena.repository.files(&base.parse().unwrap()).await.unwrap();
    assert_eq!(paths(&listed), [".gitignore", "a.yaml", high.as_str(), "deep/er/b.yaml"]);
    arena.refuses(&base, &[(deep.as_str(), "")]).await;
    arena.pushes_honest_files(&base).await;

    let second = head(&arena.repository).await;
    let outcome = common::push(&arena.repository, &second, vec![common::commit(&high, "image: web:2\n")]).await;
    assert_eq!(arena.server.head(), common::landed(outcome.unwrap())[0].to_string());
    assert_eq!(arena.server.file(&high), "image: web:2\n");
    arena.server.check_integrity();

    let without = put_on_main(&arena.server, &arena.tree(&arena.with(Vec::new())));
    assert_eq!(head(&arena.repository).await, without);
    let changed = arena.repository.changed_files(&base.parse().unwrap(), &without.parse().unwrap()).await.unwrap();
    let changed: Vec<String> = changed.unwrap().into_iter().map(|file| file.path).collect();
    assert_eq!(changed, ["a.yaml", high.as_str(), "deep/er/b.yaml"]);
}

#[tokio::test]
async fn a_million_files_in_one_folder_are_listed() {
    let arena = Arena::new();
    let first = head(&arena.repository).await;
    let blob = raw(&arena.blob("image: hostile:1\n"));
    let mut many = Vec::with_capacity(34_000_000);
    for number in 0..1_000_000 {
        many.extend_from_slice(format!("100644 {number:06}\0").as_bytes());
        many.extend_from_slice(&blob);
    }
    let many = object(&arena.server.path(), "tree", &many);
    let root = arena.with(vec![Entry::new("40000", "many", &many)]);
    let hostile = put_on_main(&arena.server, &arena.tree(&root));
    assert_eq!(head(&arena.repository).await, hostile);
    let (first, commit) = (first.parse().unwrap(), hostile.parse().unwrap());
    assert_eq!(arena.repository.files(&commit).await.unwrap().len(), 1_000_003);
    let changed = arena.repository.changed_files(&first, &commit).await.unwrap().unwrap();
    assert_eq!(changed.len(), 1_000_000);
    arena.refuses(&hostile, &[("many", "is a folder")]).await;
    arena.pushes_honest_files(&hostile).await;
}

/// Eleven trees that stand for ten billion folders and a thousand times as many files.
async fn bomb() -> (Arena, String, String) {
    let arena = Arena::new();
    let first = head(&arena.repository).await;
    let path = arena.server.path();
    let blob = arena.blob("image: hostile:1\n");
    let files: Vec<Entry> = (0..1000).map(|number| Entry::new("100644", format!("{number:03}"), &blob)).collect();
    let mut inside = tree(&path, &files);
    for _ in 0..10 {
        let ten: Vec<Entry> = (0..10).map(|number| Entry::new("40000", number.to_string(), &inside)).collect();
        inside = tree(&path, &ten);
    }
    let root = arena.with(vec![Entry::new("40000", "bomb", &inside)]);
    let hostile = put_on_main(&arena.server, &arena.tree(&root));
    assert_eq!(head(&arena.repository).await, hostile);
    (arena, first, hostile)
}

#[tokio::test]
async fn trees_that_multiply_are_not_listed_to_the_end() {
    let (arena, _, hostile) = bomb().await;
    let error = arena.repository.files(&hostile.parse().unwrap()).await.unwrap_err();
    assert_eq!(error.kind, RepositoryErrorKind::Permanent, "{error}");
    assert!(error.to_string().contains("it has more than"), "{error}");
    arena.refuses(&hostile, &[("bomb", "is a folder"), ("bomb/0/1/2", "is a folder")]).await;
    arena.pushes_honest_files(&hostile).await;
    arena.server.check_integrity();
}

#[tokio::test]
async fn trees_that_multiply_are_not_compared_to_the_end() {
    let (arena, first, hostile) = bomb().await;
    let (first, hostile) = (first.parse().unwrap(), hostile.parse().unwrap());
    for (from, to) in [(&first, &hostile), (&hostile, &first)] {
        let error = arena.repository.changed_files(from, to).await.unwrap_err();
        assert_eq!(error.kind, RepositoryErrorKind::Permanent, "{error}");
        assert!(error.to_string().contains("it has more than"), "{error}");
    }
}
