//! Room in memory for the directories of the archives that visitors of links load. Anybody may begin many of large folders and
//! read slowly, so all have a bound together; who finds no room waits, and one at a time may go beyond, so that all come to an end.

use tokio::sync::{Semaphore, SemaphorePermit};

/// What each has without asking: the lines of some hundred members.
const FREE: usize = 64 << 10;
/// What is taken at a time.
const UNIT: usize = 64 << 10;
/// For all together.
const TOTAL: usize = 24 << 20;

static UNITS: Semaphore = Semaphore::const_new(TOTAL / UNIT);
static BEYOND: Semaphore = Semaphore::const_new(1);

/// The room of one archive, given back when dropped.
#[derive(Debug, Default)]
pub struct Room {
    units: Vec<SemaphorePermit<'static>>,
    beyond: Option<SemaphorePermit<'static>>,
}

impl Room {
    /// Waits until there is room for so many bytes.
    pub async fn make(&mut self, bytes: usize) {
        while self.beyond.is_none() && bytes > FREE + self.units.len() * UNIT {
            tokio::select! {
                biased;
                Ok(unit) = UNITS.acquire() => self.units.push(unit),
                Ok(turn) = BEYOND.acquire() => self.beyond = Some(turn),
                else => return,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use tokio::time::timeout;

    #[tokio::test(start_paused = true)]
    async fn one_goes_beyond_the_bound_and_the_others_wait_for_it() {
        let fits = async |room: &mut Room, bytes| timeout(Duration::from_secs(1), room.make(bytes)).await.is_ok();
        let [mut all, mut small, mut first, mut second] = <[Room; 4]>::default();
        assert!(fits(&mut all, TOTAL + FREE).await && fits(&mut small, FREE).await);
        assert!(fits(&mut first, 100 * TOTAL).await, "one may");
        assert!(!fits(&mut second, FREE + 1).await, "and no other");
        drop(first);
        assert!(fits(&mut second, 2 * TOTAL).await);
        drop(all);
        assert!(fits(&mut small, TOTAL + FREE).await);
        drop((second, small));
        assert_eq!((UNITS.available_permits(), BEYOND.available_permits()), (TOTAL / UNIT, 1));
    }
}
