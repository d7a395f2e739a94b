//! The running loop.

use super::*;

/// The running loop of a fleet that is evaluated every hour.
struct Hourly {
    board: watch::Receiver<Arc<Board>>,
    _commands: mpsc::Sender<Command>,
    stop: CancellationToken,
    running: tokio::task::JoinHandle<()>,
}

impl Hourly {
    /// Starts 800 s before a grid point.
    fn start(stage: &Stage) -> Self {
        Self::start_before(Duration::from_secs(800), stage)
    }

    fn start_before(point: Duration, stage: &Stage) -> Self {
        let (publish, board) = watch::channel(Arc::<Board>::default());
        let (commands, queue) = mpsc::channel(1);
        let (start, stop) = (Instant::now(), CancellationToken::new());
        let before = Duration::from_hours(277_778).saturating_sub(point);
        let clock = move || before + start.elapsed();
        let run = controller_of(stage, "", "1h").run(clock, publish, queue, stop.clone(), pulse());
        Self { board, _commands: commands, stop, running: tokio::spawn(run) }
    }

    async fn end(self) {
        self.stop.cancel();
        self.running.await.expect("no panic");
    }
}

/// The group is evaluated every hour, and its first instance waits for its release.
#[tokio::test(start_paused = true)]
async fn a_start_waits_for_no_grid_point_and_repeats_no_scale_out() {
    let drain = Some("2001-09-09T01:00:00Z draining hook");
    let stage = Stage { value: 10.0, first: "Terminating:Wait", drain, is_in_use: true, ..Stage::new() };
    let start = Instant::now();
    let mut hourly = Hourly::start(&stage);
    hourly.board.changed().await.expect("an evaluation");
    assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());
    // The process before this one has acted on the point.
    assert_eq!(stage.changes(), ["heartbeat for i-0"]);
    hourly.board.changed().await.expect("an evaluation");
    assert!(stage.changes().contains(&"SetDesired(Capacity(3))".to_owned()), "{:?}", stage.changes());
    hourly.end().await;
}

/// The look at the group takes longer than the time to the grid point.
#[tokio::test(start_paused = true)]
async fn an_early_evaluation_gives_way_to_the_grid_point_while_it_asks() {
    let stage = Stage { value: 10.0, takes: Duration::from_secs(30), ..Stage::new() };
    let start = Instant::now();
    let mut hourly = Hourly::start_before(Duration::from_secs(20), &stage);
    hourly.board.changed().await.expect("an evaluation");
    // The change has a look of its own before it.
    assert_eq!(start.elapsed().as_secs(), 20 + 2 * 30);
    assert!(stage.changes().contains(&"SetDesired(Capacity(4))".to_owned()), "{:?}", stage.changes());
    hourly.end().await;
}

/// The group is evaluated every hour, and its hook lets go of an instance after an hour without a heartbeat.
#[tokio::test(start_paused = true)]
async fn a_hook_that_holds_no_longer_than_a_period_gets_heartbeats_in_between() {
    let drain = Some("2001-09-09T01:00:00Z draining hook");
    let stage = Stage { first: "Terminating:Wait", drain, is_in_use: true, ..Stage::new() };
    let mut hourly = Hourly::start(&stage);
    hourly.board.changed().await.expect("an evaluation");
    assert_eq!(stage.changes().len(), 1);
    tokio::time::sleep(Duration::from_mins(55)).await;
    hourly.end().await;
    // Each comes a third to half of the hour after the one before.
    assert!((2..=3).contains(&stage.changes().len()), "{:?}", stage.changes());
    assert!(stage.changes().iter().all(|change| change == "heartbeat for i-0"));
}

#[tokio::test(start_paused = true)]
async fn a_stop_does_not_wait_for_answers() {
    let hourly = Hourly::start(&Stage { takes: Duration::from_hours(1), ..Stage::new() });
    tokio::time::sleep(Duration::from_secs(10)).await;
    let start = Instant::now();
    hourly.end().await;
    assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_is_set_back_delays_no_evaluation() {
    let (publish, mut board) = watch::channel(Arc::<Board>::default());
    let (commands, queue) = mpsc::channel(1);
    let (start, hours) = (Instant::now(), Arc::new(Mutex::new(5)));
    let set = Arc::clone(&hours);
    let clock = move || {
        let hours = *hours.lock().expect("no panic");
        Duration::from_secs(1_000_000_000) + Duration::from_hours(hours) + start.elapsed()
    };
    let stop = CancellationToken::new();
    let running =
        tokio::spawn(controller(&Stage::new(), "").run(clock, publish, queue, stop.clone(), pulse()));
    board.changed().await.expect("an evaluation");
    *set.lock().expect("no panic") = 4;
    // Any command lets the loop look at the clock.
    commands.send(Command::Wake(BTreeSet::new())).await.expect("the loop runs");
    let waits = Instant::now();
    board.changed().await.expect("an evaluation");
    assert!(waits.elapsed() <= Duration::from_mins(1), "{:?}", waits.elapsed());
    stop.cancel();
    running.await.expect("no panic");
}
