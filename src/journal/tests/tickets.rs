use super::*;

#[tokio::test]
async fn a_ticket_is_spent_soon_or_not_at_all() {
    let desk = Desk::new();
    let journal = desk.open();
    let (young, old) = (
        journal.begin(permit(), intent("young")).await.unwrap(),
        journal.begin(permit(), intent("old")).await.unwrap(),
    );
    let (young_id, old_id) = (young.operation().unwrap(), old.operation().unwrap());
    tokio::time::pause();
    tokio::time::advance(Duration::from_millis(4500)).await;
    assert!(young.spend().is_ok());
    tokio::time::advance(Duration::from_millis(1000)).await;
    assert_eq!(old.spend(), Err(TooOld));
    tokio::time::resume();
    until(&journal, old_id, Outcome::NotSent).await;
    assert_eq!(journal.find(young_id).await.unwrap().unwrap().outcome, Outcome::Pending);
    journal.close().await;
}

#[tokio::test]
async fn a_ticket_that_is_dropped_is_recorded_as_not_sent() {
    let desk = Desk::new();
    let journal = desk.open();
    let ticket = journal.begin(permit(), intent("alice")).await.unwrap();
    drop(ticket);
    journal.close().await;
    assert_eq!(desk.story(), ["pending", "not-sent"]);
}
