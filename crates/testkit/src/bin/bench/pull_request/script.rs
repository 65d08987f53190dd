//! What pipelines do without Tagboat: a fresh shallow clone, an edit, a commit, a push, and a request that opens the pull
//! request. That somebody has to start it, and know the new tags, takes no time here.

use std::{
    process::Command,
    time::{Duration, Instant},
};

use serde_json::Value;

use super::place::{NEW, OLD, Place, REPOSITORY, image, manifest};

/// For one image.
pub(crate) const ONE: &str = "F4: script: shallow clone, sed, push, curl";
/// For all of them.
pub(crate) const ALL: &str = "F5: script: shallow clone, sed, push, curl";

const SCRIPT: &str = r#"
git clone --quiet --depth 1 "$1" work
cd work
git checkout --quiet -b "$2"
sed -i "$3" $4
git -c user.name=CI -c user.email=ci@example.org commit --quiet --all --message 'Update images'
git push --quiet origin "$2"
curl --noproxy '*' --silent --show-error --fail --output ../answer.json --request POST "$5" \
  --header "Authorization: Bearer $TOKEN" --header 'Accept: application/vnd.github+json' \
  --header 'Content-Type: application/json' \
  --data "{\"title\":\"Update images\",\"head\":\"$2\",\"base\":\"main\",\"body\":\"By a pipeline.\"}"
"#;

/// The script, with what a pipeline is given.
pub(crate) struct Script<'p> {
    place: &'p Place,
    token: String,
}

impl<'p> Script<'p> {
    pub(crate) async fn new(place: &'p Place) -> Self {
        let github = &place.github;
        let url = format!("{}/app/installations/{}/access_tokens", github.api_url(), github.installation("acme"));
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let request = client.post(url).header("authorization", format!("Bearer {}", github.app_token()));
        let text = request.send().await.unwrap().text().await.unwrap();
        let answer: Value = serde_json::from_str(&text).unwrap();
        let token = answer["token"].as_str().unwrap().to_owned();
        Self { place, token }
    }

    /// One image.
    pub(crate) fn one(&self, number: usize) -> Duration {
        let image = image(number);
        self.run(&format!("ci/{image}"), &format!("s|/{image}:.*|/{image}:{NEW}|"), &manifest(number), 1)
    }

    /// All of them.
    pub(crate) fn all(&self) -> Duration {
        let every = self.place.images();
        self.run("ci/all", &format!("s|:{OLD}$|:{NEW}|"), "prod/*.yaml", every)
    }

    fn run(&self, branch: &str, edit: &str, files: &str, changed: usize) -> Duration {
        let github = &self.place.github;
        let known = self.place.open_pulls();
        let url = github.git_url(REPOSITORY).replace("://", &format!("://x-access-token:{}@", self.token));
        let pulls = format!("{}/repos/{REPOSITORY}/pulls", github.api_url());
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new("sh");
        command
            .args(["-euc", SCRIPT, "sh", url.as_str(), branch, edit, files, pulls.as_str()])
            .current_dir(folder.path());
        command.env("GIT_CONFIG_NOSYSTEM", "1").env("GIT_CONFIG_GLOBAL", "/dev/null");
        command.env("GIT_TERMINAL_PROMPT", "0").env("no_proxy", "127.0.0.1").env("TOKEN", &self.token);
        let start = Instant::now();
        let status = command.status().unwrap();
        let time = start.elapsed();
        assert!(status.success());
        let new = self.place.open_pulls().into_iter().find(|number| !known.contains(number)).unwrap();
        assert_eq!(github.pull(REPOSITORY, new)["changed_files"], changed);
        time
    }
}
