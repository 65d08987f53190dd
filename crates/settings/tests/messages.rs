//! What users read when a configuration file is wrong.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failed set-up fails the test")]

use tagboat_promotion::ImageEntry;
use tagboat_settings::{read_repository_file, read_server_file};

fn repository(text: &str) -> String {
    match read_repository_file(".tagboat.yaml", text) {
        Ok(settings) => format!("{} images, {} environments", settings.images.len(), settings.environments.len()),
        Err(problem) => problem.to_string(),
    }
}

fn server(text: &str, variables: &[(&str, &str)]) -> String {
    let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    match read_server_file("tagboat.yaml", text, variables) {
        Ok(file) => format!("listens on {}, settles {}", file.listen, file.settle.quiet),
        Err(problem) => problem.to_string(),
    }
}

const IMAGE: &str =
    "images:\n  - name: web\n    image: ghcr.io/acme/web\n    policy: { semver: { range: \"^1.4\" } }\n";
const DEV: &str = "environments:\n  - name: dev\n    paths: [apps/dev]\n    deliver: commit\n";

#[test]
fn a_good_repository_file_is_read() {
    insta::assert_snapshot!(repository(&format!("{IMAGE}{DEV}")), @"1 images, 1 environments");
    insta::assert_snapshot!(repository("# nothing yet\n"), @"0 images, 0 environments");
}

#[test]
fn unknown_keys_name_the_nearest_known_one() {
    insta::assert_snapshot!(repository("imagse: []\n"), @".tagboat.yaml:1:1: unknown key `imagse`; did you mean `images`? (known here: defaults, images, environments, include, commit, limits, approvers, dashboard)");
    insta::assert_snapshot!(repository(&IMAGE.replace("semver", "semvre")), @".tagboat.yaml:4:15: unknown value `semvre`; did you mean `semver`? (known here: semver, numerical, alphabetical, newest, digest, announced, argocdImageUpdater, kargo)");
    insta::assert_snapshot!(repository(&IMAGE.replace("range", "rnage")), @".tagboat.yaml:4:25: unknown key `rnage`; did you mean `range`? (known here: range)");
    insta::assert_snapshot!(repository(&format!("{IMAGE}{}", DEV.replace("commit", "commits"))), @".tagboat.yaml:8:14: unknown value `commits`; did you mean `commit`? (known here: commit, pullRequest)");
    insta::assert_snapshot!(server("listne: 0.0.0.0:80\n", &[]), @"tagboat.yaml:1:1: unknown key `listne`; did you mean `listen`? (known here: listen, publicUrl, dataDirectory, database, databasePasswordFile, databasePasswordEnv, settle, sweep, api, limits, repositories, githubApp, receivers, registries, dockerConfigFile, sigstore, telemetry)");
    insta::assert_snapshot!(server("settle:\n  quite: 1s\n", &[]), @"tagboat.yaml:2:3: unknown key `quite`; did you mean `quiet`? (known here: quiet, atMost)");
}

#[test]
fn wrong_values_say_where_and_what_to_write() {
    insta::assert_snapshot!(repository(&IMAGE.replace("^1.4", "1x")), @".tagboat.yaml:4:32: `1x` is not a version range: `1x` is not a version; write for example `^1.4`, `~1.4.2`, `>=1.4 <2` or `1.x || 2.x`");
    insta::assert_snapshot!(repository(&IMAGE.replace("ghcr.io/acme/web", "ghcr.io/Acme/web")), @".tagboat.yaml:3:12: `ghcr.io/Acme/web` is not an image name: each part of the path is lower-case letters and digits, joined by one `.`, one or two `_`, or `-`");
    insta::assert_snapshot!(repository(&format!("{IMAGE}{IMAGE}")), @".tagboat.yaml:5:1: the key `images` stands here a second time; keep one");
    insta::assert_snapshot!(repository(IMAGE), @"1 images, 1 environments");
    insta::assert_snapshot!(repository(&format!("{IMAGE}{}", DEV.replace("apps/dev", "../dev"))), @".tagboat.yaml:7:13: `../dev` is not a path in the repository: write it from the root of the repository, without `/` in front and without `..`");
    insta::assert_snapshot!(repository(&format!("{IMAGE}{DEV}  - name: dev\n    paths: [b]\n    deliver: commit\n")), @".tagboat.yaml:9:11: another environment is named `dev` already; names are unique");
    insta::assert_snapshot!(repository(&format!("{IMAGE}{DEV}    images: {{ api: {{ pin: tag }} }}\n")), @".tagboat.yaml:9:20: there is no image entry `api` (there are: web)");
    insta::assert_snapshot!(repository("images:\n  - name: web\n    image: a/b\n    pin: tag\n    policy: { digest: { tag: main } }\n"), @".tagboat.yaml:4:10: `pin: tag` removes the digest that the policy follows (digest of `main`); use `digest` or `tagAndDigest`");
    insta::assert_snapshot!(repository("images: [\n"), @".tagboat.yaml:1:9: unclosed bracket '['");
    insta::assert_snapshot!(repository("images:\n  - name: web\n"), @".tagboat.yaml:2:5: the key `image` is missing");
    insta::assert_snapshot!(server("settle: { quiet: 5 }\n", &[]), @"tagboat.yaml:1:18: `5` is not a length of time: write numbers with units, as in `250ms`, `2s`, `10m`, `1h30m`, `7d`");
    insta::assert_snapshot!(server("listen: here\n", &[]), @"tagboat.yaml:1:9: `here` is not an address and port, as in `0.0.0.0:8080`");
    for url in ["sqlite://data/x.db", "sqlite::memory:", "sqlite:", "sqlite:x?mode=ro"] {
        assert!(server(&format!("database: '{url}'\n"), &[]).contains("cannot be used"), "{url}");
    }
    insta::assert_snapshot!(server("sweep: { interval: 0s }\n", &[]), @"tagboat.yaml:1:20: a sweep asks every registry; 10s is the least between two");
    insta::assert_snapshot!(server("registries:\n  - host: https://ghcr.io\n", &[]), @"tagboat.yaml:2:11: `https://ghcr.io` is not a registry; write host and port as image names do, as in `registry.example.org:5000`");
    insta::assert_snapshot!(server("registries:\n  - host: registry\n", &[]), @"tagboat.yaml:2:11: `registry` is not a registry; write host and port as image names do, as in `registry.example.org:5000`");
    insta::assert_snapshot!(server("repositories:\n  - name: config\n    url: http://git.example/x\n    credentials: { passwordEnv: P }\n", &[]), @"tagboat.yaml:3:10: credentials would travel in clear; use `https://`, or set `insecure: true`");
    insta::assert_snapshot!(server("repositories:\n  - name: config\n    url: https://git.example/x\n    ssh: { keyFile: k, knownHostsFile: h }\n", &[]), @"tagboat.yaml:3:10: `ssh` is for `ssh://` addresses only");
    insta::assert_snapshot!(server("database: postgres://tagboat@db.example/tagboat\n", &[]), @"listens on 127.0.0.1:8080, settles 2s");
    insta::assert_snapshot!(server("database: mysql://x\n", &[]), @"tagboat.yaml:1:11: `mysql://x` cannot be used; write `sqlite:` and a path, as in `sqlite:data/tagboat.db`, or `postgres://user@host/name`");
    insta::assert_snapshot!(server("database: postgres://tagboat:secret@db.example/tagboat\n", &[]), @"tagboat.yaml:1:11: a password does not belong here, where it is shown; name its file with `databasePasswordFile`");
}

#[test]
fn receivers_and_repositories_are_checked() {
    let receiver = "receivers:\n  - name: registry\n    kind: distribution\n    images: [ghcr.io/acme/*]\n";
    insta::assert_snapshot!(server(receiver, &[]), @"tagboat.yaml:2:11: the receiver `registry` has no credential; add `secretFiles` or `secretEnvs`");
    insta::assert_snapshot!(server(&format!("{receiver}    secretEnvs: [HOOK]\n"), &[]), @"tagboat.yaml:3:11: `distribution` needs `registry`: the host and port by which image names mean this registry");
    insta::assert_snapshot!(server("repositories:\n  - name: config\n    url: https://u:secret@git.example/x\n", &[]), @"tagboat.yaml:3:10: a URL must not hold credentials; use `credentials` with `passwordFile` or `passwordEnv`");
    insta::assert_snapshot!(server("repositories:\n  - name: config\n    url: git@git.example:x\n", &[]), @"tagboat.yaml:3:10: `git@git.example:x` is not a URL; write `https://…`, `ssh://…` or `file:///…`");
    insta::assert_snapshot!(server("repositories:\n  - name: config\n    url: ssh://git@git.example/x\n", &[]), @"tagboat.yaml:3:10: `ssh://` needs `ssh` with `keyFile` and `knownHostsFile`");
    insta::assert_snapshot!(server("repositories:\n  - name: config\n    url: https://git.example/x\n    credentials: {}\n", &[]), @"tagboat.yaml:4:18: say where the password is: `passwordFile` or `passwordEnv`");
}

#[test]
fn a_receiver_that_hears_of_config_repositories_may_speak_for_no_image() {
    let receiver = |kind: &str, images: &str| {
        server(&format!("receivers:\n  - name: r\n    kind: {kind}\n    secretEnvs: [S]\n{images}"), &[])
    };
    for kind in ["github", "gitea", "forgejo"] {
        for images in ["", "    images: []\n"] {
            let told = receiver(kind, images);
            assert!(told.starts_with("listens on"), "{kind}: {told}");
        }
    }
    let told = receiver("gitlab", "    registry: registry.example\n");
    assert!(told.starts_with("listens on"), "{told}");
    for images in ["", "    images: []\n"] {
        let told = receiver("generic", images);
        assert!(told.ends_with("name the images it may speak for, as in `ghcr.io/acme/*`"), "{told}");
    }
}

#[test]
fn images_that_a_receiver_can_never_hear_of_are_refused() {
    let receiver = |kind: &str, more: &str, images: &str| {
        let text =
            format!("receivers:\n  - name: r\n    kind: {kind}\n    images: [{images}]\n    secretEnvs: [S]\n{more}");
        server(&text, &[])
    };
    insta::assert_snapshot!(receiver("dockerhub", "", "'docker.io/acme/*', 'ghcr.io/acme/*'"), @"tagboat.yaml:4:13: `ghcr.io/acme/*` can never match: `dockerhub` speaks for docker.io");
    let registry = "    registry: r.example\n";
    insta::assert_snapshot!(receiver("harbor", registry, "ghcr.io/acme/*"), @"tagboat.yaml:4:13: `ghcr.io/acme/*` can never match: `registry` says that this receiver speaks for r.example");
    for kind in ["quay", "acr", "github", "gitlab", "zot"] {
        let told = receiver(kind, registry, "r.example.evil/acme/*");
        assert!(told.contains("can never match: `registry` says"), "{kind}: {told}");
        for images in ["r.example/acme/*", "R.example/acme/web", "'*.example/acme/*'", "'**'"] {
            let told = receiver(kind, registry, images);
            assert!(told.starts_with("listens on"), "{kind}, {images}: {told}");
        }
    }
    for (kind, images) in [
        ("dockerhub", "index.docker.io/acme/*"),
        ("dockerhub", "acme/web"),
        // A build that GitHub tells of may push anywhere.
        ("github", "docker.io/acme/*"),
        ("gitlab", "ghcr.io/acme/*"),
        ("quay", "quay.example/acme/*"),
        ("generic", "ghcr.io/acme/*, docker.io/acme/*"),
    ] {
        let told = receiver(kind, "", images);
        assert!(told.starts_with("listens on"), "{kind}, {images}: {told}");
    }
}

#[test]
fn config_repositories_are_checked_too() {
    let with =
        |url: &str, more: &str| server(&format!("repositories:\n  - name: config\n    url: {url}\n    {more}\n"), &[]);
    let https = |more: &str| with("https://git.example/x", more);
    insta::assert_snapshot!(https("signing: { ssh: { keyFlie: k } }"), @"tagboat.yaml:4:23: unknown key `keyFlie`; did you mean `keyFile`? (known here: keyFile)");
    insta::assert_snapshot!(https("signing: { pgp: { key: k } }"), @"tagboat.yaml:4:16: unknown value `pgp` (known here: ssh, openPgp)");
    insta::assert_snapshot!(https("signing: { openPgp: { key: '--output=x' } }"), @"tagboat.yaml:4:14: `key` is a fingerprint, as `gpg --list-secret-keys` shows it");
    insta::assert_snapshot!(https("committer: { name: 'A <b>', email: a@b }"), @"tagboat.yaml:4:16: `committer.name` must not be empty, nor hold `<`, `>` or a line end");
    insta::assert_snapshot!(https("author: { name: ' ' }"), @"tagboat.yaml:4:13: `author.name` must not be empty, nor hold `<`, `>` or a line end");
    insta::assert_snapshot!(https("pushWith: gti"), @"tagboat.yaml:4:15: unknown value `gti`; did you mean `git`? (known here: builtIn, git)");
    insta::assert_snapshot!(https("pushWith: git\n    certificateAuthorityFiles: [ca.pem]"), @"tagboat.yaml:5:32: `certificateAuthorityFiles` does not go with `pushWith: git`; use the system's store of authorities");
    insta::assert_snapshot!(https("clientCertificate: { certificateFile: c }"), @"tagboat.yaml:4:26: the key `keyFile` is missing");
    insta::assert_snapshot!(https("proxy: { url: 'http://p', credentials: {} }"), @"tagboat.yaml:4:12: say where the password is: `passwordFile` or `passwordEnv`");
    insta::assert_snapshot!(with("ssh://git@git.example/x", "ssh: { keyFile: k, knownHostsFile: h }\n    pushWith: git"), @"tagboat.yaml:5:15: `git` is for `https://` addresses only; leave `pushWith` out");
    insta::assert_snapshot!(with("file:///x", "proxy: { url: 'http://p' }"), @"tagboat.yaml:4:12: `proxy` is for `https://` addresses only");
}

#[test]
fn environment_variables_override_every_value() {
    let file = "listen: 127.0.0.1:1\nrepositories:\n  - name: config\n    url: file:///a\n";
    insta::assert_snapshot!(server(file, &[("TAGBOAT_LISTEN", "0.0.0.0:9000"), ("TAGBOAT_SETTLE_QUIET", "0s")]), @"listens on 0.0.0.0:9000, settles 0s");
    insta::assert_snapshot!(server(file, &[("TAGBOAT_REPOSITORIES_0_URL", "nonsense")]), @"tagboat.yaml:4:10: `nonsense` is not a URL; write `https://…`, `ssh://…` or `file:///…`");
    insta::assert_snapshot!(server(file, &[("TAGBOAT_LISTNE", "x")]), @"TAGBOAT_LISTNE: no key of the server file has this name");
    insta::assert_snapshot!(server(file, &[("TAGBOAT_SETTLE_QUIET", "soon")]), @"TAGBOAT_SETTLE_QUIET: `soon` is not a length of time: write numbers with units, as in `250ms`, `2s`, `10m`, `1h30m`, `7d`");
    // Kubernetes sets these in every pod beside a Service named `tagboat`.
    let injected = [
        ("TAGBOAT_PORT", "tcp://10.0.0.1:80"),
        ("TAGBOAT_SERVICE_HOST", "10.0.0.1"),
        ("TAGBOAT_PORT_80_TCP", "x"),
        ("TAGBOAT_X_PORT", "x"),
        ("TAGBOAT_X_SERVICE_HOST", "x"),
    ];
    insta::assert_snapshot!(server(file, &injected), @"listens on 127.0.0.1:1, settles 2s");
    insta::assert_snapshot!(server(file, &[("TAGBOAT_CONFIG", "elsewhere.yaml"), ("HOME", "/")]), @"listens on 127.0.0.1:1, settles 2s");
}

#[test]
fn the_schemas_name_every_key() {
    let (server, repository) =
        (tagboat_settings::server_schema().unwrap(), tagboat_settings::repository_schema().unwrap());
    for key in
        ["publicUrl", "settle", "receivers", "secretFiles", "knownHostsFile", "forge", "githubApp", "commitThrough"]
    {
        assert!(server.contains(&format!("\"{key}\"")), "{key}");
    }
    let of_promotion =
        ["promoteFrom", "gates", "window", "pullRequest", "supersede", "defaults", "include", "dashboard"];
    for key in ["images", "policy", "semver", "claims", "environments", "deliver"].into_iter().chain(of_promotion) {
        assert!(repository.contains(&format!("\"{key}\"")), "{key}");
    }
}

#[test]
fn what_chooses_a_version_is_checked_when_it_is_read() {
    let entry = |more: &str| repository(&format!("{IMAGE}    {more}\n{DEV}"));
    insta::assert_snapshot!(entry("filterTags: { pattern: '^v(.*' }"), @".tagboat.yaml:5:28: `^v(.*` is not a regular expression: unclosed group");
    insta::assert_snapshot!(entry("filterTags: { pattern: '^v(.*)', extract: '$v' }"), @".tagboat.yaml:5:17: `extract` names the group `v`, and `^v(.*)` has none of that name (it has 1 groups)");
    insta::assert_snapshot!(entry("exclude: ['a(?=b)']"), @".tagboat.yaml:5:15: `a(?=b)` is not a regular expression: look-around, including look-ahead and look-behind, is not supported");
    insta::assert_snapshot!(entry("platforms: [amd64]"), @".tagboat.yaml:5:17: `amd64` is not a platform; write operating system and architecture, as in `linux/amd64` or `linux/arm/v7`");
    insta::assert_snapshot!(entry("minimumAge: 2 hours"), @".tagboat.yaml:5:17: `2 hours` is not a length of time: write numbers with units, as in `250ms`, `2s`, `10m`, `1h30m`, `7d`");
    insta::assert_snapshot!(entry("maximumJump: huge"), @".tagboat.yaml:5:18: unknown value `huge` (known here: major, minor, patch)");
    insta::assert_snapshot!(entry("verify: { cosign: {} }"), @".tagboat.yaml:5:13: `cosign` needs `keyFile`, `key`, or `issuer` with `identity`");
    insta::assert_snapshot!(entry("verify: { cosign: { keyFile: ../key } }"), @".tagboat.yaml:5:13: `keyFile` is `../key`; write it from the root of the repository, without `..`");
    insta::assert_snapshot!(entry("verify: { cosign: { keyFile: a, issuer: 'https://i' } }"), @".tagboat.yaml:5:13: `cosign` takes a key, or an issuer with an identity, not both");
    insta::assert_snapshot!(entry("verify: { cosign: { issuer: 'https://i' } }"), @".tagboat.yaml:5:13: say who signed: either `identity` or `identityPattern`");
    let other =
        |policy: &str| repository(&format!("{}{DEV}", IMAGE.replace("{ semver: { range: \"^1.4\" } }", policy)));
    insta::assert_snapshot!(other("{ numerical: { order: up } }"), @".tagboat.yaml:4:35: unknown value `up` (known here: asc, desc)");
    insta::assert_snapshot!(other("{ semver: { range: '^1' }, numerical: {} }"), @".tagboat.yaml:4:40: only one kind may stand here; keep one");
    insta::assert_snapshot!(other("{ argocdImageUpdater: { allowTags: v } }"), @".tagboat.yaml:4:35: `allowTags` is `v`; write `any`, or `regexp:` and a regular expression");
    insta::assert_snapshot!(other("{ kargo: { imageSelectionStrategy: Digest } }"), @".tagboat.yaml:4:22: `constraint` must name the tag to follow, as in `latest`");
    insta::assert_snapshot!(other("{ announced: { claim: { ref: a } } }"), @".tagboat.yaml:4:28: unknown key `claim`; did you mean `claims`? (known here: claims)");
    insta::assert_snapshot!(other("{ announced: { claims: {} } }"), @".tagboat.yaml:4:36: `claims` names no claim; name one, as in `ref: refs/heads/main`, or leave `claims` out");
    insta::assert_snapshot!(other("{ announced: { claims: { ref: '' } } }"), @".tagboat.yaml:4:43: a pattern is empty; write what the claim must say, as in `refs/heads/main`");
    insta::assert_snapshot!(other("{ announced: { claims: { ref: [a, ''] } } }"), @".tagboat.yaml:4:47: a pattern is empty; write what the claim must say, as in `refs/heads/main`");
    insta::assert_snapshot!(other("{ announced: { claims: { ref: [] } } }"), @".tagboat.yaml:4:43: a claim without patterns admits nothing; write what it must say, as in `refs/heads/main`");
    insta::assert_snapshot!(other("{ announced: { claims: { run_attempt: 1 } } }"), @".tagboat.yaml:4:38: invalid type: integer `1`, expected a text or a list of texts, with numbers and truth values in quotes");
    insta::assert_snapshot!(other("{ newest: {} }\n    maximumJump: minor"), @".tagboat.yaml:5:18: `maximumJump` compares versions, and the policy `newest` has none");
    insta::assert_snapshot!(repository(&format!("{IMAGE}{DEV}    images:\n      web:\n        exclude: ['^ma']\n        policy: {{ digest: {{ tag: main }} }}\n")), @".tagboat.yaml:11:18: the tag to follow, `main`, is excluded by pattern `^ma`, so nothing would ever change");
}

#[test]
fn an_environment_changes_what_it_names_and_keeps_the_rest() {
    let text = format!(
        "{IMAGE}    exclude: [a]\n    minimumAge: 2h\n    allowDowngrade: true\n{DEV}    images: {{ web: {{ exclude: [], allowDowngrade: false, platforms: [linux/arm64] }} }}\n"
    );
    let settings = read_repository_file(".tagboat.yaml", &text).unwrap();
    let here = settings.images[0].within(&settings.environments[0]).selection;
    assert!(here.exclude.is_empty() && !here.allow_downgrade);
    assert_eq!((here.minimum_age.unwrap().to_string(), here.platforms.len()), ("2h".to_owned(), 1));
    assert_eq!(here.policy, settings.images[0].selection.policy);
}

#[test]
fn an_environment_admits_other_announcements_than_the_rest() {
    let announced = |claims: &str| format!("{{ announced: {{ claims: {claims} }} }}");
    let image = IMAGE.replace("{ semver: { range: \"^1.4\" } }", &announced("{ ref: refs/heads/main }"));
    let here = announced("{ ref: [refs/heads/main, 'refs/tags/**'], repository: acme/web }");
    let text = format!("{image}{DEV}    images: {{ web: {{ policy: {here} }} }}\n");
    let settings = read_repository_file(".tagboat.yaml", &text).unwrap();
    let (all, dev) = (&settings.images[0], settings.images[0].within(&settings.environments[0]));
    let claims = |entry: &ImageEntry| serde_json::to_string(&entry.selection.policy).unwrap();
    assert_eq!(claims(all), r#"{"announced":{"claims":{"ref":"refs/heads/main"}}}"#);
    let expect = r#"{"announced":{"claims":{"ref":["refs/heads/main","refs/tags/**"],"repository":"acme/web"}}}"#;
    assert_eq!(claims(&dev), expect);
}

#[test]
fn commits_are_worded_by_a_template_that_is_tried() {
    let with = |commit: &str| repository(&format!("{IMAGE}{DEV}commit:\n  {commit}\n"));
    insta::assert_snapshot!(with("message: '{{ entry }}: {{ tag }}'"), @"1 images, 1 environments");
    insta::assert_snapshot!(with("message: '{{ version }}'"), @".tagboat.yaml:10:12: the template is wrong in its line 1: `version` is not a variable (there are: entry, environment, image, registry, repository, tag, digest, current, files, reason, decision)");
    insta::assert_snapshot!(with("message: \"{{ tag }}\\n{{ range(9) }}\""), @".tagboat.yaml:10:12: the template is wrong in its line 2: nothing can be called here; there are filters, as in `tag | upper`");
    insta::assert_snapshot!(with("message: ''"), @".tagboat.yaml:10:12: the template is wrong: it is empty; leave it out for the built-in text");
    insta::assert_snapshot!(with("sing: true"), @".tagboat.yaml:10:3: unknown key `sing` (known here: message, signOff)");
    let settings = read_repository_file(".tagboat.yaml", "commit: { signOff: true }\n").unwrap();
    assert!(settings.commit.sign_off && settings.commit.message.is_none());
}

#[test]
fn registries_are_checked_too() {
    let registry = |more: &str| server(&format!("registries:\n  - host: ghcr.io\n    {more}\n"), &[]);
    insta::assert_snapshot!(registry("cloudIdentity: aws"), @"tagboat.yaml:3:20: unknown value `aws` (known here: ecr, google, azure)");
    insta::assert_snapshot!(registry("cloudIdentity: ecr\n    dockerConfigFile: x"), @"tagboat.yaml:2:11: `credentials`, `dockerConfigFile` and `cloudIdentity` exclude each other");
    insta::assert_snapshot!(registry("plainHttp: true\n    credentials: { passwordEnv: P }"), @"tagboat.yaml:3:16: a credential would travel in clear; leave `plainHttp` out, or set `insecure: true`");
    insta::assert_snapshot!(registry("tokenServers: ['https://sso.example']"), @"tagboat.yaml:3:19: `https://sso.example` is not a registry; write host and port as image names do, as in `registry.example.org:5000`");
    insta::assert_snapshot!(server("registries:\n  - host: docker.io\n  - host: index.docker.io\n", &[]), @"tagboat.yaml:3:11: `index.docker.io` stands here a second time; keep one");
    insta::assert_snapshot!(registry("requestsPerSecond: 0"), @"tagboat.yaml:3:5: invalid value: integer `0`, expected a nonzero u32");
    insta::assert_snapshot!(registry("proxy: { url: 'http://p', credentials: {} }"), @"tagboat.yaml:3:12: say where the password is: `passwordFile` or `passwordEnv`");
    insta::assert_snapshot!(server("sigstore: { publicGood: true, trustedRootFile: x }\n", &[]), @"tagboat.yaml:1:11: `publicGood` and `trustedRootFile` exclude each other");
}

#[test]
fn explicit_places_are_checked_where_they_are_written() {
    let with = |place: &str| repository(&format!("{IMAGE}    references:\n      - {place}\n{DEV}"));
    insta::assert_snapshot!(with("{ file: 'charts/{environment}.yaml', path: '{name}.tag', part: tag }"), @"1 images, 1 environments");
    insta::assert_snapshot!(with("{ file: a.sh, regex: 'V=(?P<tag>.*)' }"), @"1 images, 1 environments");
    insta::assert_snapshot!(with("{ file: a.yaml }"), @".tagboat.yaml:6:7: a.yaml: name either a `path` or a `regex`");
    insta::assert_snapshot!(with("{ file: a.yaml, path: a, regex: b }"), @".tagboat.yaml:6:7: a.yaml: name either a `path` or a `regex`");
    insta::assert_snapshot!(with("{ file: a.yaml, path: 'a..b' }"), @".tagboat.yaml:6:7: a.yaml: `a..b` is not a path: a key is missing");
    insta::assert_snapshot!(with("{ file: a.sh, regex: '(' }"), @".tagboat.yaml:6:7: a.sh: `(` is not a regular expression: unclosed group");
    insta::assert_snapshot!(with("{ file: a.sh, regex: 'V=(.*)' }"), @".tagboat.yaml:6:7: a.sh: `V=(.*)` has no group for a version; name one `(?P<image>…)`, `(?P<tag>…)` or `(?P<digest>…)`");
    insta::assert_snapshot!(with("{ file: a.sh, regex: 'V=(?P<tag>.*)', part: tag }"), @".tagboat.yaml:6:7: a.sh: `part` goes with `path`; a `regex` says it by the names of its groups");
    insta::assert_snapshot!(with("{ file: ../a.yaml, path: a }"), @".tagboat.yaml:6:7: `../a.yaml` is not a path in the repository: write it from the root of the repository, without `/` in front and without `..`");
    insta::assert_snapshot!(with("{ file: a.yaml, path: a, part: name }"), @".tagboat.yaml:6:40: unknown value `name` (known here: image, tag, digest)");
    insta::assert_snapshot!(repository(&format!("{IMAGE}{DEV}    exclude: [/x]\n")), @".tagboat.yaml:9:15: `/x` is not a path in the repository: write it from the root of the repository, without `/` in front and without `..`");
    insta::assert_snapshot!(repository(&format!("{IMAGE}{DEV}    images: {{ web: {{ references: [{{ file: a, path: '[' }}] }} }}\n")), @".tagboat.yaml:9:34: a: `[` is not a path: `]` is missing");
}
