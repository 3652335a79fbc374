//! A real browser: Chromium without a window, driven over `WebDriver`.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use cqlgate_testkit::parts::on_path;
use cqlgate_testkit::process::Process;
use cqlgate_testkit::scratch::Scratch;
use fantoccini::{Client, ClientBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};

/// One browser window with a profile of its own.
pub(crate) struct Browser {
    /// The `WebDriver` client.
    pub(crate) client: Client,
    driver: Process,
    _profile: Scratch,
}

/// How the window is to look.
#[derive(Clone, Copy, Default)]
pub(crate) struct Look {
    /// Inner width and height.
    pub(crate) size: (u32, u32),
    /// The person prefers dark colours.
    pub(crate) dark: bool,
}

impl Browser {
    /// Starts a driver and a browser. A machine without them fails the test, and the message says how to
    /// get them.
    pub(crate) async fn open(look: Look) -> Self {
        let (chromium, chromedriver) = (program("chromium"), program("chromedriver"));
        let profile = Scratch::new("browser").unwrap();
        let mut command = Command::new(chromedriver);
        command.arg("--port=0").env("TMPDIR", profile.path()).env("HOME", profile.path());
        let driver = Process::spawn("chromedriver", &profile, Duration::from_secs(5), &command).unwrap();
        let (line, _) = driver
            .wait_for_line(0, Duration::from_secs(30), "its port", |l| l.contains("successfully on port"))
            .await
            .unwrap();
        let port: u16 = line.trim_end_matches('.').rsplit(' ').next().unwrap().parse().unwrap();

        let (width, height) = look.size;
        let mut arguments = vec![
            "--headless=new".to_owned(),
            "--no-sandbox".into(),
            "--disable-dev-shm-usage".into(),
            "--hide-scrollbars".into(),
            "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1".into(),
            format!("--window-size={width},{height}"),
        ];
        if look.dark {
            arguments.push("--force-dark-mode".into());
        }
        let options = json!({
            "binary": chromium,
            "args": arguments,
            // A window cannot be narrower than its frame; a device can.
            "mobileEmulation": { "deviceMetrics": {
                "width": width, "height": height, "pixelRatio": 1.0, "touch": false, "mobile": true } },
        });
        let capabilities = [("goog:chromeOptions".to_owned(), options)].into_iter().collect();
        let client = ClientBuilder::new(HttpConnector::new())
            .capabilities(capabilities)
            .connect(&format!("http://127.0.0.1:{port}"))
            .await
            .unwrap();
        Self { client, driver, _profile: profile }
    }

    /// Evaluates an expression in the page.
    pub(crate) async fn eval(&self, expression: &str) -> Value {
        self.client.execute(&format!("return ({expression});"), Vec::new()).await.unwrap()
    }

    /// What the page's security policy stopped so far, as the browser reports it.
    pub(crate) async fn violations(&self) -> Vec<Value> {
        let script = "const done = arguments[0], seen = [];
            const watch = new ReportingObserver((r) => seen.push(...r), { buffered: true, types: ['csp-violation'] });
            watch.observe();
            setTimeout(() => done(seen.concat(watch.takeRecords()).map((r) => r.toJSON())), 100);";
        let seen = self.client.execute_async(script, Vec::new()).await.unwrap();
        seen.as_array().unwrap().clone()
    }

    /// The addresses of everything that the page loaded.
    pub(crate) async fn loaded(&self) -> Vec<String> {
        let names = self.eval("performance.getEntriesByType('resource').map((e) => e.name)").await;
        names.as_array().unwrap().iter().map(|n| n.as_str().unwrap().to_owned()).collect()
    }

    /// Keeps a picture of the window under the build's temporary folder.
    pub(crate) async fn picture(&self, name: &str) -> PathBuf {
        let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
        std::fs::write(&path, self.client.screenshot().await.unwrap()).unwrap();
        path
    }

    /// Closes the window and ends the driver. Dropped instead, both end by themselves.
    pub(crate) async fn close(mut self) {
        self.client.clone().close().await.unwrap();
        self.driver.stop().await.unwrap();
    }
}

fn program(name: &str) -> PathBuf {
    on_path(name).unwrap_or_else(|| {
        panic!("{name} is missing: install a browser (Debian: apt-get install chromium chromium-driver)")
    })
}
