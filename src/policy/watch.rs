//! The policy in force of one cluster, and the watch on its files.
//!
//! In: files that change, and calls to [`Policies::reload`]. Out: a new [`PolicySet`] behind a pointer swap
//! and a new generation for those who subscribed; or findings, while the last good policy stays in force.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use aws_lc_rs::digest;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::sync::watch;

use super::files::{self, PolicyFile};
use super::set::{PolicySet, PolicySource};
use super::validate::Catalogue;
use crate::config::diagnostic::Diagnostic;
use crate::config::limits;
use crate::directory::State;
use crate::metrics::{self, ClusterMetrics};
use crate::status::ClusterStatus;

/// The policy of one cluster, kept current.
#[derive(Debug)]
pub struct Policies {
    metrics: Arc<ClusterMetrics>,
    source: PolicySource,
    current: ArcSwap<PolicySet>,
    generation: AtomicU64,
    changed: watch::Sender<u64>,
    /// Held through a reload, so that there is one at a time.
    files: Mutex<Files>,
}

/// What the last looks at the files found.
#[derive(Debug)]
struct Files {
    /// What was judged last, good or bad.
    judged: Content,
    /// What the last look found, if it was something else: perhaps somebody is still writing.
    seen: Option<(Content, Stamp)>,
    /// When the policy in force was loaded.
    loaded_at: OffsetDateTime,
    /// Why the files on disk are not in force.
    refused: Vec<Diagnostic>,
}

type Content = [u8; 32];
/// Names and times of last writing.
type Stamp = Vec<(Arc<str>, Option<std::time::SystemTime>)>;
type Read = Result<Vec<PolicyFile>, Vec<Diagnostic>>;

/// What a look at the files led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reload {
    /// The files say what they said when they were judged last.
    Unchanged,
    /// They say something else; taken if the next look finds them as they are now.
    Settling,
    /// A new policy is in force: its generation.
    Loaded(u64),
    /// They are wrong: the last good policy stays in force.
    Refused,
}

impl Policies {
    /// Loads the policy; a bad one is an error, since there is no last good one.
    pub fn open(source: PolicySource, metrics: Arc<ClusterMetrics>) -> Result<Self, Vec<Diagnostic>> {
        let read = files::read(&source.base, &source.patterns);
        let judged = content(&read);
        let set = PolicySet::compile(&source, &read?, 1)?;
        let (changed, _) = watch::channel(1);
        tell_loaded(&metrics, &set);
        let loaded_at = OffsetDateTime::now_utc();
        Ok(Self {
            metrics,
            source,
            current: ArcSwap::from_pointee(set),
            generation: AtomicU64::new(1),
            changed,
            files: Mutex::new(Files { judged, seen: None, loaded_at, refused: Vec::new() }),
        })
    }

    /// The policy in force.
    pub fn current(&self) -> Arc<PolicySet> {
        self.current.load_full()
    }

    /// The generation of the policy in force; one load, for every batch of requests.
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// Tells each new generation, after it is in force.
    pub fn subscribe(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// Reads the files now and takes them at once if they are good.
    pub fn reload(&self) -> Reload {
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        let read = files::read(&self.source.base, &self.source.patterns);
        let content = content(&read);
        if content == files.judged {
            files.seen = None;
            return if files.refused.is_empty() { Reload::Unchanged } else { Reload::Refused };
        }
        self.judge(&mut files, read, content)
    }

    /// Looks at the files, and takes a change that two looks found alike: a file that is half written may
    /// lack the DENY at its end.
    pub fn poll(&self) -> Reload {
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        let read = files::read(&self.source.base, &self.source.patterns);
        let content = content(&read);
        if content == files.judged {
            files.seen = None;
            return Reload::Unchanged;
        }
        let seen = (content, stamp(&read));
        if files.seen.as_ref() != Some(&seen) {
            files.seen = Some(seen);
            return Reload::Settling;
        }
        self.judge(&mut files, read, content)
    }

    /// Watches the files for as long as the future is polled.
    pub async fn watch(self: Arc<Self>) {
        let mut pause = limits::POLICY_POLL;
        loop {
            tokio::time::sleep(pause).await;
            let policies = Arc::clone(&self);
            pause = match tokio::task::spawn_blocking(move || policies.poll()).await {
                Ok(Reload::Settling) => limits::POLICY_SETTLE,
                Ok(_) => limits::POLICY_POLL,
                Err(error) => {
                    tracing::error!(cluster = self.metrics.cluster(), %error, "looking at the policy files failed");
                    limits::POLICY_POLL
                }
            };
        }
    }

    /// Fills in what the status page shows of a policy. `schema` is left out while it is not known.
    pub fn describe(&self, directory: &State, schema: Option<&dyn Catalogue>, status: &mut ClusterStatus) {
        let current = self.current();
        let mut findings = {
            let files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
            status.policy_stale = !files.refused.is_empty();
            status.policy_loaded = files.loaded_at.format(&Rfc3339).unwrap_or_default();
            files.refused.clone()
        };
        status.policy_generation = current.generation();
        status.policy_rules = current.rules();
        findings.extend_from_slice(current.warnings());
        findings.extend(current.check_directory(directory));
        if let Some(schema) = schema {
            findings.extend(current.check_schema(schema));
        }
        status.policy_warnings = findings.iter().map(ToString::to_string).collect();
    }

    fn judge(&self, files: &mut Files, read: Read, content: Content) -> Reload {
        files.seen = None;
        files.judged = content;
        let generation = self.generation() + 1;
        match read.and_then(|read| PolicySet::compile(&self.source, &read, generation)) {
            Ok(set) => {
                tell_loaded(&self.metrics, &set);
                self.metrics.policy_reload("ok");
                self.current.store(Arc::new(set));
                self.generation.store(generation, Ordering::Release);
                files.loaded_at = OffsetDateTime::now_utc();
                files.refused = Vec::new();
                self.changed.send_replace(generation);
                Reload::Loaded(generation)
            }
            Err(findings) => {
                self.metrics.policy_reload("failed");
                let cluster = self.metrics.cluster();
                for finding in &findings {
                    tracing::error!(cluster, "{finding}");
                }
                let in_force = self.generation();
                tracing::error!(cluster, in_force, "the policy on disk is refused; the last good one stays");
                files.refused = findings;
                Reload::Refused
            }
        }
    }
}

/// Says in the log and in figures what is in force from now on.
fn tell_loaded(metrics: &ClusterMetrics, set: &PolicySet) {
    let cluster = metrics.cluster();
    metrics.policy_generation.set(i64::try_from(set.generation()).unwrap_or(i64::MAX));
    metrics.policy_rules.set(i64::try_from(set.rules()).unwrap_or(i64::MAX));
    metrics::set_now(&metrics.policy_timestamp);
    for warning in set.warnings() {
        tracing::warn!(cluster, "{warning}");
    }
    tracing::info!(cluster, generation = set.generation(), rules = set.rules(), "policy loaded");
}

/// A digest of what the files say, or of why they cannot be read.
fn content(read: &Read) -> Content {
    let mut context = digest::Context::new(&digest::SHA256);
    let mut part = |text: &str| {
        context.update(&text.len().to_be_bytes());
        context.update(text.as_bytes());
    };
    match read {
        Ok(files) => files.iter().for_each(|file| {
            part(&file.name);
            part(&file.text);
        }),
        Err(findings) => findings.iter().for_each(|finding| part(&finding.to_string())),
    }
    let mut digest = Content::default();
    digest.copy_from_slice(context.finish().as_ref());
    digest
}

fn stamp(read: &Read) -> Stamp {
    let files = read.as_deref().unwrap_or_default();
    files.iter().map(|file| (Arc::clone(&file.name), file.modified)).collect()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::PathBuf;

    use super::*;
    use crate::config::model::Mode;
    use crate::policy::parser::World;

    /// A folder of its own, gone at the end.
    struct Folder(PathBuf);

    impl Folder {
        fn new() -> Self {
            let path = std::env::temp_dir().join(format!("cqlgate-policy-{}", uuid::Uuid::new_v4()));
            fs::create_dir(&path).unwrap();
            Self(path)
        }

        fn write(&self, name: &str, text: &str) {
            fs::write(self.0.join(name), text).unwrap();
        }

        fn source(&self) -> PolicySource {
            let world = World { identities: vec!["acme".into()], services: Vec::new() };
            PolicySource { base: self.0.clone(), patterns: vec!["*.cql".into()], mode: Mode::Enforce, world }
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn open(folder: &Folder) -> Result<Policies, Vec<Diagnostic>> {
        Policies::open(folder.source(), metrics::Metrics::new().cluster("main"))
    }

    const GOOD: &str = "GRANT SELECT ON KEYSPACE k TO EVERYONE;";

    fn texts(findings: &[Diagnostic]) -> Vec<String> {
        findings.iter().map(ToString::to_string).collect()
    }

    fn shown(policies: &Policies) -> ClusterStatus {
        let mut status = ClusterStatus::default();
        policies.describe(&State::default(), None, &mut status);
        status
    }

    #[test]
    fn a_bad_policy_at_start_is_an_error() {
        let folder = Folder::new();
        assert_eq!(
            texts(&open(&folder).unwrap_err()),
            [
                "*.cql:1:1: error: no file is called like this; write a policy there; an empty file permits nothing"
            ]
        );
        folder.write("a.cql", "GRANT SELECT ON KEYSPACE k TO EVERYONE");
        folder.write("b.cql", "\n GRNT;");
        let findings = texts(&open(&folder).unwrap_err());
        assert_eq!(findings.len(), 2);
        assert!(
            findings[0].starts_with("a.cql:1:39: error: ") && findings[1].starts_with("b.cql:2:2: error: ")
        );
    }

    #[test]
    fn a_change_is_taken_when_two_looks_find_it_alike() {
        let folder = Folder::new();
        folder.write("a.cql", GOOD);
        let policies = open(&folder).unwrap();
        let mut told = policies.subscribe();
        assert_eq!(policies.poll(), Reload::Unchanged);
        folder.write("a.cql", &format!("{GOOD}\n-- and mor"));
        assert_eq!(policies.poll(), Reload::Settling);
        folder.write("a.cql", &format!("{GOOD}\nDENY DROP ON ALL KEYSPACES TO EVERYONE;"));
        assert_eq!(policies.poll(), Reload::Settling, "it changed again in between");
        assert_eq!(policies.generation(), 1);
        assert_eq!(policies.poll(), Reload::Loaded(2));
        assert!(told.has_changed().unwrap());
        assert_eq!(*told.borrow_and_update(), 2);
        assert_eq!((policies.current().generation(), policies.current().rules()), (2, 2));
        assert_eq!(policies.generation(), 2);
        assert_eq!(policies.poll(), Reload::Unchanged);
    }

    #[test]
    fn a_file_that_was_written_again_between_two_looks_is_looked_at_once_more() {
        let folder = Folder::new();
        folder.write("a.cql", GOOD);
        let policies = open(&folder).unwrap();
        folder.write("a.cql", &GOOD.repeat(2));
        assert_eq!(policies.poll(), Reload::Settling);
        // Whoever writes it may have come as far as the last time.
        let file = fs::File::options().append(true).open(folder.0.join("a.cql")).unwrap();
        file.set_modified(std::time::SystemTime::UNIX_EPOCH).unwrap();
        assert_eq!(policies.poll(), Reload::Settling);
        assert_eq!(policies.poll(), Reload::Loaded(2));
    }

    #[test]
    fn the_figures_tell_which_policy_is_in_force() {
        let folder = Folder::new();
        folder.write("a.cql", GOOD);
        let policies = open(&folder).unwrap();
        let figures = || (policies.metrics.policy_generation.get(), policies.metrics.policy_rules.get());
        assert_eq!(figures(), (1, 1));
        folder.write("a.cql", &GOOD.repeat(3));
        policies.reload();
        assert_eq!(figures(), (2, 3));
        folder.write("a.cql", "GRNT");
        policies.reload();
        assert_eq!(figures(), (2, 3), "a bad policy is not in force");
    }

    #[test]
    fn a_bad_reload_keeps_the_last_good_policy_and_says_so() {
        let folder = Folder::new();
        folder.write("a.cql", GOOD);
        let policies = open(&folder).unwrap();
        folder.write("a.cql", "GRANT NOTHING;");
        assert_eq!(policies.reload(), Reload::Refused);
        assert_eq!(policies.reload(), Reload::Refused, "asked again, it is still wrong");
        assert_eq!(policies.poll(), Reload::Unchanged, "the watch does not say it every two seconds");
        let status = shown(&policies);
        assert!(status.policy_stale && status.policy_generation == 1 && status.policy_rules == 1);
        assert!(
            status.policy_warnings[0].starts_with("a.cql:1:7: error: there is no permission \"NOTHING\"")
        );
        // The folder may also vanish for a moment.
        fs::remove_file(folder.0.join("a.cql")).unwrap();
        assert_eq!(policies.reload(), Reload::Refused);
        assert_eq!(policies.current().rules(), 1);
        folder.write("a.cql", GOOD);
        assert_eq!(policies.reload(), Reload::Loaded(2));
        assert!(!shown(&policies).policy_stale);
        assert_eq!(policies.reload(), Reload::Unchanged);
    }

    #[test]
    fn files_are_bounded_and_must_be_text_files() {
        let folder = Folder::new();
        fs::write(folder.0.join("a.cql"), b"-- x\n-- \xff").unwrap();
        fs::create_dir(folder.0.join("b.cql")).unwrap();
        fs::write(folder.0.join("c.cql"), vec![b' '; limits::POLICY_FILE + 1]).unwrap();
        folder.write(".d.cql", "an editor's copy is not read");
        let findings = texts(&open(&folder).unwrap_err());
        assert_eq!(
            findings,
            [
                "a.cql:2:4: error: from here on this is not UTF-8; save the file as UTF-8".to_owned(),
                "b.cql:1:1: error: this is no file; name a file, or folder/*.cql".to_owned(),
                format!("c.cql:1:1: error: the file is larger than {} bytes; split it", limits::POLICY_FILE),
            ]
        );
        let folder = Folder::new();
        for n in 0..limits::POLICY_FILES {
            folder.write(&format!("{n}.cql"), "");
        }
        assert!(open(&folder).is_ok());
        folder.write("more.cql", "");
        assert_eq!(texts(&open(&folder).unwrap_err()).len(), 1);
        let folder = Folder::new();
        for n in 0..=limits::POLICY_BYTES / limits::POLICY_FILE {
            fs::write(folder.0.join(format!("{n}.cql")), vec![b' '; limits::POLICY_FILE]).unwrap();
        }
        assert!(texts(&open(&folder).unwrap_err())[0].contains("4.cql:1:1: error: the policy is larger"));
    }

    #[test]
    fn only_what_the_pattern_means_is_read() {
        let folder = Folder::new();
        folder.write("a.cql", GOOD);
        folder.write(".b.cql", "an editor's copy");
        folder.write("c.txt", "notes");
        assert_eq!(open(&folder).unwrap().current().rules(), 1);
    }

    #[test]
    fn rules_are_bounded() {
        let folder = Folder::new();
        folder.write("a.cql", &GOOD.repeat(limits::POLICY_RULES));
        assert_eq!(open(&folder).unwrap().current().rules(), limits::POLICY_RULES);
        folder.write("b.cql", GOOD);
        assert!(texts(&open(&folder).unwrap_err())[0].contains("more than 10000 rules"));
    }

    #[tokio::test]
    async fn the_watch_takes_a_change_by_itself() {
        let folder = Folder::new();
        folder.write("a.cql", GOOD);
        let policies = Arc::new(open(&folder).unwrap());
        let mut told = policies.subscribe();
        told.mark_unchanged();
        let watching = tokio::spawn(Arc::clone(&policies).watch());
        folder.write("a.cql", "");
        told.changed().await.unwrap();
        assert_eq!(policies.current().rules(), 0);
        watching.abort();
    }
}
