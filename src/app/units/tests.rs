//! Tests of the units: when a unit loads, and what it reports.

use std::{
    collections::VecDeque,
    fs,
    path::PathBuf,
    sync::{Condvar, Mutex},
    time::Duration,
};

use tempfile::TempDir;
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};

use super::*;
use crate::{
    reload::{FileReader, UnitState},
    telemetry::Heard,
};

/// Far longer than any number of polls. The test controls the clock.
const LONG: Duration = Duration::from_hours(1);

/// Fails with the given faults, one per load, and succeeds after that.
#[derive(Debug)]
struct Scripted {
    faults: Mutex<VecDeque<&'static str>>,
    loads: Arc<Mutex<usize>>,
}

impl Reloadable for Scripted {
    fn name(&self) -> String {
        "it".to_owned()
    }

    fn load(&self, _: &Snapshot) -> Result<String, Vec<Fault>> {
        *self.loads.lock().unwrap() += 1;
        let fault = self.faults.lock().unwrap().pop_front();
        fault.map_or_else(|| Ok("all of it".to_owned()), |text| Err(vec![Fault::new(text)]))
    }
}

/// A watched unit with a file of its own.
struct Desk {
    files: TempDir,
    board: ReloadStatus,
    metrics: Arc<Metrics>,
    loads: Arc<Mutex<usize>>,
}

impl Desk {
    fn follow(faults: &[&'static str], disk: Option<Hanging>) -> Self {
        let files = tempfile::tempdir().unwrap();
        let path = files.path().join("file");
        fs::write(&path, "1").unwrap();
        let places = super::files([path]);
        let loads = Arc::new(Mutex::new(0));
        let faults = Mutex::new(faults.iter().copied().collect());
        let unit = Scripted { faults, loads: Arc::clone(&loads) };
        let Watched { unit, mut watcher } =
            Watched::new(unit, places.clone(), &Snapshot::take(&places));
        if let Some(disk) = disk {
            watcher = watcher.on(disk);
        }
        let metrics = Arc::new(Metrics::new(&[], &[]).unwrap());
        metrics.loaded(true);
        let units = Units::from(vec![Watched { unit, watcher }]);
        let board = units.board.clone();
        units.follow(WatchPace::default(), &metrics);
        Self { files, board, metrics, loads }
    }

    fn path(&self) -> PathBuf {
        self.files.path().join("file")
    }

    fn metric(&self, series: &str) -> u32 {
        let text = self.metrics.render().unwrap();
        let value = text.lines().find_map(|line| {
            line.strip_prefix("zec_gateway_")?.strip_prefix(series)?.strip_prefix(' ')
        });
        value.unwrap_or_else(|| panic!("no {series} in {text}")).parse().unwrap()
    }

    /// How many loads succeeded and how many failed, according to the metrics.
    fn told(&self) -> (u32, u32) {
        let count = |result| self.metric(&format!("reloads_total{{result=\"{result}\"}}"));
        (count("ok"), count("failed"))
    }

    /// Whether it is reported as failing.
    fn failing(&self) -> bool {
        let failing = self.board.all().iter().any(|(_, state)| *state != UnitState::InForce);
        assert_eq!(self.metric("last_reload_successful") == 0, failing);
        failing
    }
}

#[tokio::test(start_paused = true)]
async fn what_could_not_be_loaded_is_tried_again_without_a_change_and_said_once() {
    let (log, _hearing) = Heard::begin();
    let desk = Desk::follow(&["too early", "too early", "too early", "too late"], None);
    // Half a period off, so that no change coincides with a poll.
    tokio::time::sleep(LONG + Duration::from_secs(5)).await;
    assert_eq!(*desk.loads.lock().unwrap(), 0, "nothing has changed");
    fs::write(desk.path(), "2").unwrap();
    tokio::time::sleep(Duration::from_secs(35)).await;
    assert_eq!(*desk.loads.lock().unwrap(), 3);
    assert_eq!((log.count("too early"), desk.told(), desk.failing()), (1, (0, 1), true));
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert_eq!((log.count("too late"), desk.told(), desk.failing()), (1, (0, 2), true));
    tokio::time::sleep(LONG).await;
    assert_eq!(*desk.loads.lock().unwrap(), 5, "what is in force is not loaded again");
    assert_eq!((log.count("all of it"), desk.told(), desk.failing()), (1, (1, 2), false));
}

#[tokio::test(start_paused = true)]
async fn another_change_that_is_as_faulty_is_said_again() {
    let (log, _hearing) = Heard::begin();
    let desk = Desk::follow(&["nonsense"; 100], None);
    for (text, said) in [("2", 1), ("3", 2)] {
        fs::write(desk.path(), text).unwrap();
        tokio::time::sleep(Duration::from_mins(1)).await;
        assert_eq!((log.count("nonsense"), desk.told()), (said, (0, u32::try_from(said).unwrap())));
    }
}

/// A disk that does not answer until the test releases it.
#[derive(Debug)]
struct Hanging {
    asked: UnboundedSender<()>,
    answers: Arc<(Mutex<bool>, Condvar)>,
}

impl FileReader for Hanging {
    fn look(&self, places: &[FileState]) -> Snapshot {
        let _ = self.asked.send(());
        let (answers, told) = &*self.answers;
        let waited = told.wait_while(answers.lock().unwrap(), |answers| !*answers);
        drop(waited.unwrap());
        Snapshot::take(places)
    }
}

/// Releases the disk when it is dropped; otherwise a failing test would never end.
struct Hold(Arc<(Mutex<bool>, Condvar)>);

impl Drop for Hold {
    fn drop(&mut self) {
        let (answers, told) = &*self.0;
        *answers.lock().unwrap() = true;
        told.notify_all();
    }
}

fn hanging() -> (Hanging, UnboundedReceiver<()>, Hold) {
    let (asked, asks) = mpsc::unbounded_channel();
    let answers = Arc::default();
    (Hanging { asked, answers: Arc::clone(&answers) }, asks, Hold(answers))
}

#[tokio::test(start_paused = true)]
async fn a_disk_that_hangs_is_a_failed_load_until_it_answers_again() {
    let (log, _hearing) = Heard::begin();
    let (disk, mut asks, hold) = hanging();
    let desk = Desk::follow(&[], Some(disk));
    asks.recv().await.unwrap();
    assert!(!desk.failing(), "it has some time to answer");
    // The paused clock does not advance while a thread reads the disk.
    for _ in 0..100 {
        tokio::time::advance(Duration::from_secs(1)).await;
    }
    assert!(desk.failing());
    assert_eq!((desk.told(), log.count("has not answered within 10s for `/")), ((0, 1), 1));
    assert!(asks.try_recv().is_err(), "a second thread looks behind the one that hangs");
    drop(hold);
    tokio::time::sleep(LONG).await;
    assert!(!desk.failing());
    assert_eq!((desk.told(), *desk.loads.lock().unwrap()), ((1, 1), 1));
    tokio::time::sleep(LONG).await;
    assert_eq!(*desk.loads.lock().unwrap(), 1, "what is in force is not loaded again");
}
