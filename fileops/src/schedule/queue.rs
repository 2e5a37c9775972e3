//! Who goes before whom: the queue as such, which knows no thread, no clock and no path.

use super::device::Device;
use super::weight::Weight;
use super::{Id, Schedule};
use std::sync::Arc;

/// Where an operation stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// In line for its devices.
    Waiting,
    /// Told to pause: it is not in line, and its devices are free for others.
    Paused,
    /// It has its devices.
    Running,
}

/// An operation in the queue, and what its owner keeps with it.
pub(super) struct Member<T> {
    pub(super) id: Id,
    pub(super) turn: Turn,
    pub(super) devices: Vec<Device>,
    pub(super) weight: Weight,
    /// Whether it was looked how much it has before it, or is being looked.
    pub(super) is_looked_at: bool,
    /// Whether it has its devices and has long done nothing with them.
    pub(super) is_still: bool,
    /// Whether it goes in line at all.
    pub(super) is_queued: bool,
    pub(super) held: T,
}

/// All operations that are not over, the first in line first.
pub(super) struct Queue<T> {
    pub(super) schedule: Schedule,
    members: Vec<Member<T>>,
}

impl<T> Default for Queue<T> {
    fn default() -> Queue<T> {
        Queue { schedule: Schedule::default(), members: Vec::new() }
    }
}

impl<T> Queue<T> {
    pub(super) fn add(&mut self, member: Member<T>) {
        self.members.push(member);
    }

    pub(super) fn remove(&mut self, id: &str) -> Option<T> {
        let at = self.position(id)?;
        Some(self.members.remove(at).held)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Member<T>> {
        self.members.iter()
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Member<T>> {
        self.members.iter_mut()
    }

    pub(super) fn get_mut(&mut self, id: &str) -> Option<&mut Member<T>> {
        self.members.iter_mut().find(|member| *member.id == *id)
    }

    /// Gives the first whose turn has come its devices.
    pub(super) fn begin_next(&mut self) -> Option<&mut Member<T>> {
        let is_next = |&at: &usize| self.members[at].turn == Turn::Waiting && self.before(at).next().is_none();
        let at = (0..self.members.len()).find(is_next)?;
        self.members[at].turn = Turn::Running;
        Some(&mut self.members[at])
    }

    /// Whether anybody waits.
    pub(super) fn has_waiting(&self) -> bool {
        self.members.iter().any(|member| member.turn == Turn::Waiting)
    }

    /// How many go before one that waits; `None` for all others.
    pub(super) fn place(&self, id: &str) -> Option<usize> {
        let at = self.position(id).filter(|&at| self.members[at].turn == Turn::Waiting)?;
        Some(self.before(at).count())
    }

    /// Puts one before another, or before all.
    pub(super) fn move_before(&mut self, id: &str, other: Option<&str>) {
        let Some(from) = self.position(id) else { return };
        let member = self.members.remove(from);
        let to = match other {
            Some(other) => self.position(other).unwrap_or(from),
            None => 0,
        };
        self.members.insert(to, member);
    }

    /// Those of whom it must be known how much they have before them: who waits, and whom they wait for. Each is named once.
    pub(super) fn take_unknown(&mut self) -> Vec<Id> {
        let mut found = Vec::new();
        if self.schedule != Schedule::PerDevice {
            return found;
        }
        for at in 0..self.members.len() {
            if self.members[at].turn == Turn::Waiting && !self.members[at].is_looked_at {
                let before: Vec<_> = self.before(at).map(|other| Arc::clone(&other.id)).collect();
                if !before.is_empty() {
                    found.push(Arc::clone(&self.members[at].id));
                    found.extend(before);
                }
            }
        }
        found.retain(|id| {
            let member = self.members.iter_mut().find(|member| member.id == *id);
            member.is_some_and(|member| !std::mem::replace(&mut member.is_looked_at, true))
        });
        found
    }

    fn position(&self, id: &str) -> Option<usize> {
        self.members.iter().position(|member| *member.id == *id)
    }

    /// Whom one has to let go first: who has a device of its, and who is in line for one before it. Nobody waits for one
    /// behind it, so that there is always one that waits for none but running ones.
    fn before(&self, at: usize) -> impl Iterator<Item = &Member<T>> {
        let (member, schedule) = (&self.members[at], self.schedule);
        let is_before = move |&(other_at, other): &(usize, &Member<T>)| match other.turn {
            Turn::Running => other_at != at && !other.is_still,
            Turn::Waiting => other_at < at,
            Turn::Paused => false,
        };
        let before = self.members.iter().enumerate().filter(is_before).map(|(_, other)| other);
        before.filter(move |other| excludes(schedule, member, other))
    }
}

/// Whether two operations cannot be under way at one time.
fn excludes<T>(schedule: Schedule, one: &Member<T>, other: &Member<T>) -> bool {
    match schedule {
        Schedule::Always => false,
        Schedule::OneAtATime => one.is_queued && other.is_queued,
        Schedule::PerDevice => {
            let share_device = one.devices.iter().any(|device| other.devices.contains(device));
            share_device && !one.weight.is_small_beside(other.weight) && !other.weight.is_small_beside(one.weight)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    /// A queue, each operation with its devices: "a ab b".
    fn queue(devices: &str) -> (Queue<()>, Vec<Id>) {
        let mut queue = Queue::default();
        let ids: Vec<_> = devices.split(' ').map(|devices| add(&mut queue, devices)).collect();
        (queue, ids)
    }

    fn add(queue: &mut Queue<()>, devices: &str) -> Id {
        let devices = devices.chars().map(|name| name.to_string().into()).collect();
        let id: Id = queue.iter().count().to_string().into();
        let (weight, turn) = (Weight::default(), Turn::Waiting);
        queue.add(Member {
            id: Arc::clone(&id),
            turn,
            devices,
            weight,
            is_looked_at: false,
            is_still: false,
            is_queued: true,
            held: (),
        });
        id
    }

    /// The places at which operations were added.
    fn numbers(ids: &[Id]) -> Vec<usize> {
        ids.iter().map(|id| id.parse().unwrap()).collect()
    }

    /// Begins all that may begin.
    fn begun(queue: &mut Queue<()>) -> Vec<Id> {
        std::iter::from_fn(|| queue.begin_next().map(|member| Arc::clone(&member.id))).collect()
    }

    #[test]
    fn one_device_is_in_order_and_others_go_beside() {
        let (mut queue, ids) = queue("a a b");
        assert_eq!(numbers(&begun(&mut queue)), [0, 2]);
        assert_eq!(queue.place(&ids[1]), Some(1));
        queue.remove(&ids[0]);
        assert_eq!(numbers(&begun(&mut queue)), [1]);
        assert_eq!(queue.place(&ids[1]), None);
    }

    #[test]
    fn two_devices_crosswise_do_not_lock_up() {
        let (mut queue, ids) = queue("a b ab ba a b");
        assert_eq!(numbers(&begun(&mut queue)), [0, 1]);
        queue.remove(&ids[0]);
        // It is first for `a`, but not for `b`; and nobody takes `a` from it.
        assert!(begun(&mut queue).is_empty());
        queue.remove(&ids[1]);
        assert_eq!(numbers(&begun(&mut queue)), [2]);
        queue.remove(&ids[2]);
        assert_eq!(numbers(&begun(&mut queue)), [3]);
        queue.remove(&ids[3]);
        assert_eq!(numbers(&begun(&mut queue)), [4, 5]);
    }

    #[test]
    fn what_touches_no_slow_device_never_waits() {
        let mut queue = Queue::default();
        let ids: Vec<_> = (0..3).map(|_| add(&mut queue, "")).collect();
        assert_eq!(begun(&mut queue), *ids);
    }

    #[test]
    fn the_policy_may_change_meanwhile() {
        let (mut queue, _) = queue("a a b b");
        queue.schedule = Schedule::OneAtATime;
        assert_eq!(numbers(&begun(&mut queue)), [0]);
        queue.schedule = Schedule::PerDevice;
        assert_eq!(numbers(&begun(&mut queue)), [2]);
        queue.schedule = Schedule::Always;
        assert_eq!(numbers(&begun(&mut queue)), [1, 3]);
    }

    #[test]
    fn what_is_not_queued_goes_also_when_one_goes_at_a_time() {
        let (mut queue, ids) = queue("a a");
        queue.schedule = Schedule::OneAtATime;
        queue.get_mut(&ids[1]).unwrap().is_queued = false;
        assert_eq!(begun(&mut queue), *ids);
    }

    #[test]
    fn a_paused_one_lets_others_go_and_keeps_its_place() {
        let (mut queue, ids) = queue("a a a");
        queue.get_mut(&ids[0]).unwrap().turn = Turn::Paused;
        assert_eq!(numbers(&begun(&mut queue)), [1]);
        queue.get_mut(&ids[0]).unwrap().turn = Turn::Waiting;
        queue.remove(&ids[1]);
        assert_eq!(numbers(&begun(&mut queue)), [0]);
    }

    #[test]
    fn the_order_can_be_changed() {
        let (mut queue, ids) = queue("a a a a");
        begun(&mut queue);
        queue.move_before(&ids[3], Some(&ids[2]));
        assert_eq!(ids.iter().map(|id| queue.place(id)).collect::<Vec<_>>(), [None, Some(1), Some(3), Some(2)]);
        queue.move_before(&ids[2], None);
        assert_eq!(ids.iter().map(|id| queue.place(id)).collect::<Vec<_>>(), [None, Some(2), Some(1), Some(3)]);
    }

    #[test]
    fn a_small_one_goes_beside_a_long_one_but_not_beside_another_small_one() {
        let (mut queue, ids) = queue("a a a a");
        begun(&mut queue);
        for (id, mib) in ids.iter().zip([1000, 1000, 1, 1]) {
            queue.get_mut(id).unwrap().weight = Weight::whole(mib * MIB);
        }
        assert_eq!(numbers(&begun(&mut queue)), [2]);
        assert_eq!((queue.place(&ids[1]), queue.place(&ids[3])), (Some(1), Some(1)));
        // A small one that runs holds up no long one either.
        queue.remove(&ids[0]);
        assert_eq!(numbers(&begun(&mut queue)), [1]);
    }

    #[test]
    fn one_that_stands_still_holds_up_nobody() {
        let (mut queue, ids) = queue("a a");
        begun(&mut queue);
        queue.get_mut(&ids[0]).unwrap().is_still = true;
        assert_eq!(numbers(&begun(&mut queue)), [1]);
    }

    #[test]
    fn each_is_looked_at_once_and_only_if_somebody_waits() {
        let (mut queue, _) = queue("a b a");
        begun(&mut queue);
        assert_eq!(numbers(&queue.take_unknown()), [2, 0]);
        assert!(queue.take_unknown().is_empty());
        let late = add(&mut queue, "a");
        assert_eq!(queue.take_unknown(), [late]);
    }
}
