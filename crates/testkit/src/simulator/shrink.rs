//! Shrinking: the shortest storm and the fewest kinds of trouble with which a seed still breaks the same promise.

use super::{Broken, Fault, Settings, run};

/// Runs that are spent on it at most.
const MOST_RUNS: usize = 200;

/// Make a failure as small as it gets. What it still breaks is the same promise.
#[must_use]
pub fn shrink(broken: &Broken) -> Broken {
    let mut smallest =
        Broken { settings: Settings { trace: false, ..broken.settings }, trace: Vec::new(), ..broken.clone() };
    let mut runs = 0;
    loop {
        let before = smallest.settings;
        for fault in Fault::ALL.iter().filter(|fault| before.faults.has(**fault)) {
            let settings = Settings { faults: smallest.settings.faults.without(*fault), ..smallest.settings };
            attempt(&mut smallest, settings, &mut runs);
        }
        let (mut step, mut storm) = (smallest.settings.storm / 2, smallest.settings.storm);
        while step > 0 {
            let settings = Settings { storm: storm.saturating_sub(step), ..smallest.settings };
            if attempt(&mut smallest, settings, &mut runs) {
                storm = settings.storm;
            }
            step = if storm < step { storm / 2 } else { step / 2 };
        }
        if smallest.settings == before || runs >= MOST_RUNS {
            break;
        }
    }
    // Once more, with all that happens written down.
    match run(Settings { trace: true, ..smallest.settings }) {
        Err(traced) => Broken { settings: smallest.settings, ..traced },
        Ok(_) => smallest,
    }
}

fn attempt(smallest: &mut Broken, settings: Settings, runs: &mut usize) -> bool {
    if *runs >= MOST_RUNS {
        return false;
    }
    *runs += 1;
    match run(settings) {
        Err(broken) if broken.promise == smallest.promise => {
            *smallest = broken;
            true
        }
        _ => false,
    }
}
