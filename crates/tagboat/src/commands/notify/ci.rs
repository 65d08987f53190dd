//! What the environment of a CI job says: which CI it is, what is built, from what, in which run.
//!
//! Pure. Sources: the lists of predefined variables in the documentation of each CI.

use std::collections::BTreeMap;

/// The variables of the process.
pub(super) type Variables = BTreeMap<String, String>;

/// The CI systems that are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum System {
    GithubActions,
    /// Gitea's and Forgejo's, which describe themselves in GitHub's variables.
    ForgeActions,
    Gitlab,
    Circleci,
    Buildkite,
    AzurePipelines,
    Bitbucket,
    Woodpecker,
    Drone,
    Jenkins,
}

/// A CI job.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Ci {
    /// Which CI it is, if it is a known one.
    pub(super) system: Option<System>,
    /// The repository of the source code: `acme/web`.
    pub(super) repository: Option<String>,
    /// The commit that is built.
    pub(super) revision: Option<String>,
    /// The run, as people see it.
    pub(super) run: Option<String>,
    /// What tells the run from every other, and stays when a part of it is run again.
    pub(super) identity: Option<String>,
}

/// Where a CI says what; of several variables the first that is filled counts.
struct Known {
    system: System,
    /// The variable by which it is recognised, and its value where others set it too.
    marker: (&'static str, Option<&'static str>),
    repository: &'static [&'static str],
    revision: &'static [&'static str],
    run: &'static [&'static str],
    identity: &'static [&'static str],
}

const GITHUB: Known = Known {
    system: System::GithubActions,
    marker: ("GITHUB_ACTIONS", None),
    repository: &["GITHUB_REPOSITORY"],
    revision: &["GITHUB_SHA"],
    run: &["GITHUB_RUN_NUMBER"],
    identity: &["GITHUB_RUN_ID"],
};

/// Those that set the variables of another stand before it.
const ALL: [Known; 11] = [
    Known { system: System::ForgeActions, marker: ("GITEA_ACTIONS", None), ..GITHUB },
    Known { system: System::ForgeActions, marker: ("FORGEJO_ACTIONS", None), ..GITHUB },
    GITHUB,
    Known {
        system: System::Gitlab,
        marker: ("GITLAB_CI", None),
        repository: &["CI_PROJECT_PATH"],
        revision: &["CI_COMMIT_SHA"],
        run: &["CI_PIPELINE_ID"],
        identity: &["CI_PIPELINE_ID"],
    },
    Known {
        system: System::Circleci,
        marker: ("CIRCLECI", None),
        repository: &["CIRCLE_REPOSITORY_URL"],
        revision: &["CIRCLE_SHA1"],
        run: &["CIRCLE_PIPELINE_ID", "CIRCLE_WORKFLOW_ID"],
        // A workflow that is run again has another id, in the same pipeline.
        identity: &["CIRCLE_PIPELINE_ID", "CIRCLE_WORKFLOW_ID"],
    },
    Known {
        system: System::Buildkite,
        marker: ("BUILDKITE", None),
        repository: &["BUILDKITE_REPO"],
        revision: &["BUILDKITE_COMMIT"],
        run: &["BUILDKITE_BUILD_NUMBER"],
        identity: &["BUILDKITE_BUILD_ID"],
    },
    Known {
        system: System::AzurePipelines,
        marker: ("TF_BUILD", None),
        repository: &["BUILD_REPOSITORY_NAME"],
        revision: &["BUILD_SOURCEVERSION"],
        run: &["BUILD_BUILDID"],
        identity: &["BUILD_BUILDID"],
    },
    Known {
        system: System::Bitbucket,
        marker: ("BITBUCKET_BUILD_NUMBER", None),
        repository: &["BITBUCKET_REPO_FULL_NAME"],
        revision: &["BITBUCKET_COMMIT"],
        run: &["BITBUCKET_BUILD_NUMBER"],
        identity: &["BITBUCKET_PIPELINE_UUID", "BITBUCKET_BUILD_NUMBER"],
    },
    Known {
        system: System::Woodpecker,
        marker: ("CI", Some("woodpecker")),
        repository: &["CI_REPO"],
        revision: &["CI_COMMIT_SHA"],
        run: &["CI_PIPELINE_NUMBER"],
        identity: &["CI_PIPELINE_NUMBER"],
    },
    Known {
        system: System::Drone,
        marker: ("DRONE", None),
        repository: &["DRONE_REPO"],
        revision: &["DRONE_COMMIT_SHA"],
        run: &["DRONE_BUILD_NUMBER"],
        identity: &["DRONE_BUILD_NUMBER"],
    },
    Known {
        system: System::Jenkins,
        marker: ("JENKINS_URL", None),
        repository: &["GIT_URL"],
        revision: &["GIT_COMMIT"],
        run: &["BUILD_NUMBER"],
        identity: &["BUILD_URL", "BUILD_TAG"],
    },
];

/// A variable, unless it is empty.
pub(super) fn filled<'v>(variables: &'v Variables, name: &str) -> Option<&'v str> {
    variables.get(name).map(String::as_str).filter(|value| !value.is_empty())
}

/// What the environment says. Outside of a CI that is nothing.
pub(super) fn read(variables: &Variables) -> Ci {
    let here = |known: &&Known| {
        let (name, value) = known.marker;
        filled(variables, name).is_some_and(|found| value.is_none_or(|value| value == found))
    };
    let Some(known) = ALL.iter().find(here) else { return Ci::default() };
    let first = |names: &[&str]| names.iter().find_map(|name| filled(variables, name));
    Ci {
        system: Some(known.system),
        repository: first(known.repository).map(repository).filter(|path| !path.is_empty()),
        revision: first(known.revision).map(str::to_owned),
        run: first(known.run).map(str::to_owned),
        identity: first(known.identity).map(str::to_owned),
    }
}

/// `acme/web` of an address to clone from, in which somebody may have put a password; what is no address stays.
fn repository(text: &str) -> String {
    let path = match (text.split_once("://"), text.split_once(':')) {
        (Some((_, rest)), _) => rest.split_once('/').map_or("", |(_, path)| path),
        // As `scp` writes it: `git@github.com:acme/web.git`.
        (None, Some((_, path))) => path,
        (None, None) => text,
    };
    let path = path.split(['?', '#']).next().unwrap_or_default().trim_matches('/');
    path.strip_suffix(".git").unwrap_or(path).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables(pairs: &[(&str, &str)]) -> Variables {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    fn told(pairs: &[(&str, &str)]) -> (Option<System>, [Option<String>; 4]) {
        let Ci { system, repository, revision, run, identity } = read(&variables(pairs));
        (system, [repository, revision, run, identity])
    }

    /// Variables as a CI sets them, and what is to be read: repository, revision, run, identity of the run.
    type Case = (System, &'static [(&'static str, &'static str)], [&'static str; 4]);

    const CASES: &[Case] = &[
        (
            System::GithubActions,
            &[
                ("CI", "true"),
                ("GITHUB_ACTIONS", "true"),
                ("GITHUB_REPOSITORY", "acme/web"),
                ("GITHUB_SHA", "0ab1"),
                ("GITHUB_RUN_NUMBER", "17"),
                ("GITHUB_RUN_ID", "1693"),
                ("GITHUB_RUN_ATTEMPT", "2"),
            ],
            ["acme/web", "0ab1", "17", "1693"],
        ),
        (
            System::ForgeActions,
            &[
                ("GITHUB_ACTIONS", "true"),
                ("GITEA_ACTIONS", "true"),
                ("GITHUB_REPOSITORY", "acme/web"),
                ("GITHUB_SHA", "0ab1"),
                ("GITHUB_RUN_NUMBER", "7"),
                ("GITHUB_RUN_ID", "8"),
            ],
            ["acme/web", "0ab1", "7", "8"],
        ),
        (
            System::Gitlab,
            &[
                ("CI", "true"),
                ("GITLAB_CI", "true"),
                ("CI_PROJECT_PATH", "acme/shop/web"),
                ("CI_COMMIT_SHA", "0ab1"),
                ("CI_PIPELINE_ID", "1693"),
                ("CI_JOB_ID", "88"),
            ],
            ["acme/shop/web", "0ab1", "1693", "1693"],
        ),
        (
            System::Circleci,
            &[
                ("CIRCLECI", "true"),
                ("CIRCLE_REPOSITORY_URL", "git@github.com:acme/web.git"),
                ("CIRCLE_SHA1", "0ab1"),
                ("CIRCLE_PIPELINE_ID", "p-1"),
                ("CIRCLE_WORKFLOW_ID", "w-2"),
            ],
            ["acme/web", "0ab1", "p-1", "p-1"],
        ),
        (
            System::Buildkite,
            &[
                ("BUILDKITE", "true"),
                ("BUILDKITE_REPO", "https://bot:s3cret@git.example.org/acme/web.git"),
                ("BUILDKITE_COMMIT", "0ab1"),
                ("BUILDKITE_BUILD_NUMBER", "17"),
                ("BUILDKITE_BUILD_ID", "b81ed283"),
            ],
            ["acme/web", "0ab1", "17", "b81ed283"],
        ),
        (
            System::AzurePipelines,
            &[
                ("TF_BUILD", "True"),
                ("BUILD_REPOSITORY_NAME", "acme/web"),
                ("BUILD_SOURCEVERSION", "0ab1"),
                ("BUILD_BUILDID", "1693"),
            ],
            ["acme/web", "0ab1", "1693", "1693"],
        ),
        (
            System::Jenkins,
            &[
                ("JENKINS_URL", "https://jenkins.example.org/"),
                ("GIT_URL", "ssh://git@git.example.org:7999/acme/web.git"),
                ("GIT_COMMIT", "0ab1"),
                ("BUILD_NUMBER", "17"),
                ("BUILD_URL", "https://jenkins.example.org/job/web/17/"),
            ],
            ["acme/web", "0ab1", "17", "https://jenkins.example.org/job/web/17/"],
        ),
        (
            System::Woodpecker,
            &[("CI", "woodpecker"), ("CI_REPO", "acme/web"), ("CI_COMMIT_SHA", "0ab1"), ("CI_PIPELINE_NUMBER", "17")],
            ["acme/web", "0ab1", "17", "17"],
        ),
    ];

    #[test]
    fn every_ci_says_where_it_builds_what() {
        for (system, pairs, expected) in CASES {
            let expected = expected.map(|text| Some(text.to_owned()));
            assert_eq!(told(pairs), (Some(*system), expected), "{system:?}");
        }
    }

    #[test]
    fn outside_of_a_ci_nothing_is_said() {
        assert_eq!(read(&Variables::new()), Ci::default());
        // Somebody's shell, in which variables are left over.
        let left_over = variables(&[("CI", "true"), ("GITHUB_ACTIONS", ""), ("GITHUB_SHA", "0ab1")]);
        assert_eq!(read(&left_over), Ci::default());
    }

    #[test]
    fn empty_variables_say_nothing() {
        let pairs = [("GITLAB_CI", "true"), ("CI_PROJECT_PATH", ""), ("CI_PIPELINE_ID", "")];
        assert_eq!(told(&pairs), (Some(System::Gitlab), [None, None, None, None]));
    }

    #[test]
    fn a_repository_is_the_path_of_its_address_and_no_password() {
        for (address, expected) in [
            ("acme/web", "acme/web"),
            ("https://github.com/acme/web.git", "acme/web"),
            ("https://github.com/acme/web/", "acme/web"),
            ("https://token@git.example.org:8443/group/sub/web", "group/sub/web"),
            ("https://a:b@git.example.org/acme/web.git?x=y#z", "acme/web"),
            ("git@github.com:acme/web.git", "acme/web"),
            ("ssh://git@git.example.org:7999/acme/web.git", "acme/web"),
            ("https://token@git.example.org", ""),
        ] {
            assert_eq!(repository(address), expected, "{address}");
        }
    }
}
