//! Tests of the contract.

use super::*;

#[test]
fn message_information_has_sel4s_fields() {
    let info = MessageInfo(0x1234_5000 | 5 << 9 | 2 << 7 | 4);
    assert_eq!((info.label(), info.caps_unwrapped(), info.extra_caps(), info.length()), (0x12345, 5, 2, 4));
    assert_eq!(MessageInfo::new(7, 3, 1).0, 0x7083);
    assert_eq!(MessageInfo(127).length(), 64);
    assert_eq!(MessageInfo::new(7, 3, 1).with_caps(2, 4).0, 0x7000 | 4 << 9 | 2 << 7 | 3);
}

#[test]
fn numbers_go_both_ways_and_are_distinct() {
    for (i, &call) in Syscall::ALL.iter().enumerate() {
        assert_eq!(Syscall::from_number(call as i64), Some(call));
        assert!(Syscall::ALL[..i].iter().all(|&other| other as i64 != call as i64));
    }
    assert_eq!(Syscall::from_number(0), None);
    assert_eq!(Syscall::from_number(i64::MIN), None);
    for (i, &invocation) in Invocation::ALL.iter().enumerate() {
        assert_eq!(Invocation::from_label(invocation as u64), Some(invocation));
        assert!(Invocation::ALL[..i].iter().all(|&other| other as u64 != invocation as u64));
        assert!(invocation.capabilities() as u64 <= MessageInfo::MAX_EXTRA_CAPS);
    }
    assert_eq!(Invocation::from_label(0), None);
    for (number, &kind) in ObjectType::ALL.iter().enumerate() {
        assert_eq!(kind as usize, number);
    }
    assert_eq!(ObjectType::from_number(9), None);
}

#[test]
fn errors_go_both_ways() {
    for label in 0..=10 {
        assert!(Error::from_label(label).is_some_and(|error| error as u64 == label));
    }
    assert_eq!(Error::from_label(11), None);
}
