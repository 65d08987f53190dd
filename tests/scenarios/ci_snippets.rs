//! The snippets of `deploy/ci`: their shell parts, run as the CI would run them, against the real server.
//!
//! The CI around them is imitated: its variables, its programs, its endpoints for tokens. Every event that comes of it
//! has a tag of its own, by which it is found again.

use std::{
    os::unix::fs::{PermissionsExt as _, symlink},
    path::{Path, PathBuf},
    process::Output,
};

use serde_json::json;
use tagboat_testkit::{HttpFake, jenkins_scripts, response, yaml_scripts};
use tokio::process::Command;

use crate::world::{CI_SECRET, World, over_http};

/// The commit that is said to have been built.
const COMMIT: &str = "0ab10ab10ab10ab10ab10ab10ab10ab10ab10ab1";

/// What a job shows to get its token.
const REQUEST_TOKEN: &str = "canary-request-2d6c";

/// A file of `deploy/ci`.
pub(crate) fn snippet(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/ci").join(name).canonicalize().unwrap()
}

fn scripts(name: &str) -> Vec<String> {
    yaml_scripts(&std::fs::read_to_string(snippet(name)).unwrap())
}

pub(crate) fn write_program(path: &Path, text: &str) {
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

/// A world, and a folder in which a job runs: with `ci/notify.sh`, programs of CI systems, and `tagboat` apart from them.
struct Job {
    world: World,
    folder: tempfile::TempDir,
    /// Of the issuer that the receiver `actions` believes.
    token: String,
    count: usize,
}

/// Whether the program `tagboat` is on the path.
#[derive(Clone, Copy, PartialEq)]
enum Tagboat {
    There,
    Missing,
}

impl Job {
    async fn start() -> Self {
        let world = over_http().await;
        world.wait_until_started().await;
        let folder = tempfile::tempdir().unwrap();
        for name in ["ci", "programs", "tagboat"] {
            std::fs::create_dir(folder.path().join(name)).unwrap();
        }
        std::fs::copy(snippet("notify.sh"), folder.path().join("ci/notify.sh")).unwrap();
        symlink(env!("CARGO_BIN_EXE_tagboat"), folder.path().join("tagboat/tagboat")).unwrap();
        let claims = json!({
            "aud": world.url(""), "repository": "acme/web", "ref": "refs/heads/main", "sha": COMMIT, "run_number": "17",
        });
        let token = world.issuer().token(claims.clone());
        world.issuer().answer_job(REQUEST_TOKEN, claims);
        let job = Self { world, folder, token, count: 0 };
        std::fs::write(job.path("token"), &job.token).unwrap();
        for (name, command) in
            [("circleci", "run oidc get --claims"), ("buildkite-agent", "oidc request-token --audience")]
        {
            // They give a token for the audience that they are asked for, and none else.
            let text = format!(
                "#!/bin/sh\ncase \"$*\" in '{command} '*'{}'*) cat '{}' ;; *) echo \"what is $*\" >&2; exit 1 ;; esac\n",
                job.world.url(""),
                job.path("token").display()
            );
            write_program(&job.path("programs").join(name), &text);
        }
        job
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Run a script. In the values of variables `{image}` is an image of the world, `{tag}` a tag that nobody else uses.
    /// The event is there afterwards.
    async fn runs(&mut self, receiver: &str, script: &str, tagboat: Tagboat, variables: &[(&str, &str)]) {
        self.count += 1;
        let tag = format!("1.5.{}", self.count);
        self.world.registry.push_image("acme/web", &tag, &tag).await;
        let image = format!("{}/acme/web", self.world.registry.host());
        let filled = |value: &str| value.replace("{image}", &image).replace("{tag}", &tag);
        let mut path = format!("{}:{}", self.path("programs").display(), std::env::var("PATH").unwrap());
        if tagboat == Tagboat::There {
            path = format!("{}:{path}", self.path("tagboat").display());
        }
        let mut command = Command::new("sh");
        command.args(["-eu", "-c", script]).current_dir(self.folder.path()).env_clear();
        command.env("PATH", path).env("TAGBOAT_URL", self.world.url(""));
        command.envs(variables.iter().map(|(name, value)| (*name, filled(value))));
        let Output { status, stdout, stderr } = command.output().await.unwrap();
        let (stdout, stderr) = (String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
        assert!(status.success(), "{script}\n{status}\n{stdout}{stderr}\n{}", self.world.log());
        assert!(stdout.contains(&format!("{image}:{tag}: ")), "{script}\n{stdout}{stderr}");
        let events = self.world.get("/api/v1/events").await;
        let about = |event: &&serde_json::Value| {
            event["receiver"] == receiver && event.to_string().contains(&format!("\"{tag}\""))
        };
        let found = events["events"].as_array().unwrap().iter().filter(about).count();
        assert_eq!(found, 1, "{script}\n{stdout}{stderr}\n{events}");
        let told = format!("{stdout}{stderr}{}", self.world.log());
        for secret in [CI_SECRET, self.token.as_str()] {
            assert!(!told.contains(secret), "a secret is in what is told");
        }
    }
}

#[tokio::test]
async fn github_actions() {
    let mut job = Job::start().await;
    let found = scripts("github-actions/action.yml");
    let [action] = found.as_slice() else { panic!("one script") };
    let found = scripts("github-actions/workflow.yml");
    let [program] = found.as_slice() else { panic!("one script") };
    let url = job.world.issuer().request_url();
    let folder = snippet("github-actions").display().to_string();
    let github = [
        ("GITHUB_ACTIONS", "true"),
        ("GITHUB_ACTION_PATH", folder.as_str()),
        ("GITHUB_REPOSITORY", "acme/web"),
        ("GITHUB_SHA", COMMIT),
        ("GITHUB_RUN_ID", "1693"),
        ("GITHUB_RUN_NUMBER", "17"),
        ("ACTIONS_ID_TOKEN_REQUEST_URL", url.as_str()),
        ("ACTIONS_ID_TOKEN_REQUEST_TOKEN", REQUEST_TOKEN),
        ("IMAGE", "{image}:{tag}"),
        // What an action makes of inputs that are not given.
        ("TAGBOAT_RECEIVER", ""),
        ("TAGBOAT_SECRET", ""),
        ("TAGBOAT_AUDIENCE", ""),
        ("WAIT", "false"),
    ];
    let with = |name: &'static str, value: &'static str| {
        github.iter().map(|(key, old)| (*key, if *key == name { value } else { *old })).collect::<Vec<_>>()
    };
    job.runs("actions", action, Tagboat::Missing, &github).await;
    job.runs("actions", action, Tagboat::There, &github).await;
    job.runs("actions", action, Tagboat::There, &with("WAIT", "true")).await;
    job.runs("ci", action, Tagboat::Missing, &with("TAGBOAT_SECRET", CI_SECRET)).await;
    job.runs("ci", action, Tagboat::There, &with("TAGBOAT_SECRET", CI_SECRET)).await;
    job.runs("actions", action, Tagboat::Missing, &with("TAGBOAT_RECEIVER", "actions")).await;
    job.runs("actions", program, Tagboat::There, &github).await;
}

#[tokio::test]
async fn gitlab() {
    let mut job = Job::start().await;
    let token = job.token.clone();
    let gitlab = [
        ("GITLAB_CI", "true"),
        ("CI_PROJECT_PATH", "acme/web"),
        ("CI_COMMIT_SHA", COMMIT),
        ("CI_PIPELINE_ID", "17"),
        ("CI_REGISTRY_IMAGE", "{image}"),
        ("CI_COMMIT_SHORT_SHA", "{tag}"),
        ("TAGBOAT_ID_TOKEN", token.as_str()),
    ];
    let found = scripts("gitlab-ci.yml");
    let [program, script] = found.as_slice() else { panic!("two scripts") };
    job.runs("actions", program, Tagboat::There, &gitlab).await;
    job.runs("actions", script, Tagboat::Missing, &gitlab).await;
}

#[tokio::test]
async fn jenkins() {
    let mut job = Job::start().await;
    let token = job.token.clone();
    let jenkins = [
        ("JENKINS_URL", "https://jenkins.example.org/"),
        ("GIT_URL", "https://git.example.org/acme/web.git"),
        ("BUILD_NUMBER", "17"),
        ("BUILD_URL", "https://jenkins.example.org/job/web/17/"),
        ("IMAGE", "{image}"),
        ("GIT_COMMIT", "{tag}"),
    ];
    let found = jenkins_scripts(&std::fs::read_to_string(snippet("Jenkinsfile")).unwrap());
    let [program, script] = found.as_slice() else { panic!("two scripts") };
    let identity = [&jenkins[..], &[("TAGBOAT_ID_TOKEN", token.as_str())]].concat();
    job.runs("actions", program, Tagboat::There, &identity).await;
    let secret = [&jenkins[..], &[("TAGBOAT_SECRET", CI_SECRET)]].concat();
    job.runs("ci", script, Tagboat::Missing, &secret).await;
}

#[tokio::test]
async fn circleci_and_buildkite() {
    let mut job = Job::start().await;
    let circleci = [
        ("CIRCLECI", "true"),
        ("CIRCLE_REPOSITORY_URL", "git@github.com:acme/web.git"),
        ("CIRCLE_PIPELINE_ID", "5034460f-c7c4-4c43-9457-de07e2029e7b"),
        ("CIRCLE_SHA1", "{tag}"),
        ("IMAGE", "{image}"),
    ];
    let found = scripts("circleci.yml");
    let [program, script] = found.as_slice() else { panic!("two scripts") };
    job.runs("actions", program, Tagboat::There, &circleci).await;
    job.runs("actions", script, Tagboat::Missing, &circleci).await;

    let buildkite = [
        ("BUILDKITE", "true"),
        ("BUILDKITE_REPO", "git@github.com:acme/web.git"),
        ("BUILDKITE_BUILD_NUMBER", "17"),
        ("BUILDKITE_BUILD_ID", "b81ed283-58b7-4925-aa4a-d3da0eafcf2b"),
        ("BUILDKITE_COMMIT", "{tag}"),
        ("IMAGE", "{image}"),
    ];
    let found = scripts("buildkite.yml");
    let [program, script] = found.as_slice() else { panic!("two scripts") };
    // As the agent does that uploads the pipeline.
    let [program, script] = [program, script].map(|text| text.replace("$$", "$"));
    job.runs("actions", &program, Tagboat::There, &buildkite).await;
    job.runs("actions", &script, Tagboat::Missing, &buildkite).await;
}

#[tokio::test]
async fn azure_pipelines() {
    let mut job = Job::start().await;
    let answer = json!({ "oidcToken": job.token }).to_string();
    let endpoint = HttpFake::start(move |asked, _| match (asked.method.as_str(), asked.header("authorization")) {
        ("POST", "Bearer canary-azure-5d1e") => response(200, &[], &answer),
        _ => response(302, &[("location", "https://login.example.org")], ""),
    })
    .await;
    let url = format!("http://{}/oidctoken", endpoint.host());
    let azure = [
        ("TF_BUILD", "True"),
        ("BUILD_REPOSITORY_NAME", "acme/web"),
        ("BUILD_SOURCEVERSION", "{tag}"),
        ("BUILD_BUILDID", "17"),
        ("SYSTEM_OIDCREQUESTURI", url.as_str()),
        ("SYSTEM_ACCESSTOKEN", "canary-azure-5d1e"),
        ("IMAGE", "{image}"),
    ];
    let found = scripts("azure-pipelines.yml");
    let [program, script] = found.as_slice() else { panic!("two scripts") };
    job.runs("actions", program, Tagboat::There, &azure).await;
    job.runs("actions", script, Tagboat::Missing, &azure).await;
}

#[tokio::test]
async fn tekton() {
    let mut job = Job::start().await;
    let (token, notify) = (job.path("token").display().to_string(), snippet("notify.sh").display().to_string());
    let found = scripts("tekton.yaml");
    let [program, script] = found.as_slice() else { panic!("two scripts") };
    let tekton = [
        ("IMAGE", "{image}:{tag}"),
        ("RUN", "notify-x7k2p"),
        ("KEY", "1e6f0c1c-6b1a-4b39-9d0e-2f1f7f3b9a01"),
        ("TOKEN", token.as_str()),
    ];
    job.runs("actions", program, Tagboat::There, &tekton).await;
    let tekton = [
        ("IMAGE", "{image}:{tag}"),
        ("SCRIPT", notify.as_str()),
        ("TAGBOAT_RUN", "notify-b4v9q"),
        ("TAGBOAT_IDEMPOTENCY_KEY", "7c2d4a90-3c7e-45c1-8f0a-96d1f7c0b202"),
        ("TAGBOAT_ID_TOKEN_FILE", token.as_str()),
    ];
    job.runs("actions", script, Tagboat::Missing, &tekton).await;
}

#[tokio::test]
async fn a_step_that_is_run_again_says_nothing_new() {
    let job = Job::start().await;
    let image = format!("{}/acme/web:1.5.0", job.world.registry.host());
    job.world.registry.push_image("acme/web", "1.5.0", "web-1.5.0").await;
    let notify = async |revision: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tagboat"));
        command.args(["notify", "--wait", "--output", "json", "--server", &job.world.url(""), "--image", &image]);
        command.args(["--run", "17", "--revision", revision]).env("TAGBOAT_SECRET", CI_SECRET);
        let output = command.output().await.unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice::<serde_json::Value>(&output.stdout).unwrap()
    };
    let (first, again, other) = (notify(COMMIT).await, notify(COMMIT).await, notify(&COMMIT.replace('0', "1")).await);
    assert_eq!((&first["verdict"], &first["receiver"]), (&json!("accepted"), &json!("ci")));
    assert_eq!((&again["verdict"], &again["id"]), (&json!("duplicate"), &first["id"]));
    assert_eq!(again["idempotencyKey"], first["idempotencyKey"]);
    assert_eq!(other["verdict"], "accepted");
    assert!(other["id"] != first["id"]);
    for told in [first, again, other] {
        assert!(told["fate"] == "committed" || told["fate"] == "nothing", "{told}");
    }
    assert_eq!(job.world.config.commits(), 2);
}

/// The receivers that the README recommends.
#[test]
fn the_receivers_of_the_readme_are_valid() {
    let text = std::fs::read_to_string(snippet("README.md")).unwrap();
    let blocks: Vec<&str> = text.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    let [receivers] = blocks.as_slice() else { panic!("one block") };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tagboat.yaml");
    std::fs::write(&path, format!("publicUrl: https://tagboat.example.org\n{receivers}")).unwrap();
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_tagboat"))
        .args(["check", "--config"])
        .arg(&path)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}
