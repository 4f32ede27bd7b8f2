use super::*;

fn read(text: &str) -> Result<Vec<Column>, String> {
    let columns = serde_saphyr::from_str::<Vec<ColumnText>>(text).map_err(|e| e.without_snippet().to_string())?;
    Ok(columns.into_iter().map(|column| column.0).collect())
}

fn one(text: &str) -> Column {
    read(text).unwrap().remove(0)
}

#[test]
fn every_kind_can_be_written_by_its_name_alone_or_says_what_it_needs() {
    for kind in KINDS {
        let read = read(&format!("- a: {kind}"));
        match kind {
            "constant" => assert!(read.unwrap_err().contains("{constant: \"v1\"}")),
            "choice" => assert!(read.unwrap()[0].kind.check().unwrap_err().contains("nothing to choose from")),
            _ => assert!(read.unwrap()[0].kind.check().is_ok(), "{kind}"),
        }
    }
}

#[test]
fn options_are_read_and_usual_values_stand_for_the_others() {
    let seconds = Duration::from_secs;
    for (text, column) in [
        ("- a: {id: {start: 5, width: 9}}", {
            Column::new("a", ColumnKind::Id { start: Some(5), step: 1, prefix: String::new(), width: 9 })
        }),
        ("- my agent: {agent: {empty: 0.05}}", Column::new("my agent", ColumnKind::Agent).empty(0.05)),
        ("- a: {timestamp: {format: date}}", {
            Column::new("a", ColumnKind::Timestamp { form: TimeForm::Date, later: seconds(0)..=seconds(0) })
        }),
        ("- a: {duration: {format: clock, range: 1s..2m}}", {
            Column::new("a", ColumnKind::Duration { form: DurationForm::Clock, range: seconds(1)..=seconds(120) })
        }),
        ("- a: {integer: {range: -5..5}}", Column::new("a", ColumnKind::Integer(-5..=5))),
        ("- a: {integer: {range: 7}}", Column::new("a", ColumnKind::Integer(7..=7))),
        ("- a: {constant: \"007\"}", Column::new("a", ColumnKind::Constant("007".into()))),
        ("- a: {phone: {country: \"+49\"}}", Column::new("a", ColumnKind::Phone(Some("+49".into())))),
        ("- a: {choice: [x, \"1\"]}", {
            Column::new("a", ColumnKind::Choice(vec![("x".into(), 1.0), ("1".into(), 1.0)]))
        }),
        ("- a: {choice: {values: {x: 3, y: 0.5}, empty: 0.1}}", {
            Column::new("a", ColumnKind::Choice(vec![("x".into(), 3.0), ("y".into(), 0.5)])).empty(0.1)
        }),
        ("- a: {text: {emoji: 0.5, length: 40..50}}", {
            Column::new("a", ColumnKind::Text(FreeText { emoji: 0.5, length: 40..=50, ..FreeText::default() }))
        }),
    ] {
        assert_eq!(one(text), column, "{text}");
    }
}

#[test]
fn what_is_wrong_is_named_with_its_line_and_what_is_known() {
    for (text, line, parts) in [
        ("- id: uuid\n- a: colour", 2, ["`colour`", "known are id, uuid, timestamp"]),
        ("- id: uuid\n\n- a: {agent: {colour: 1}}", 3, ["colour", "empty"]),
        ("- id: uuid\n- a: uuid\n  b: uuid", 2, ["`b`", "dash"]),
        ("- a: {agent: {}, empty: 0.5}", 1, ["`empty`", "{agent: {empty: …}}"]),
        ("- a: {text: {length: 9..3}}", 1, ["9..3", "20..400"]),
        ("- a: {choice: {gold: 1}}", 1, ["`gold`", "`values`"]),
        ("- a: {constant: 7}", 1, ["7", "quotes"]),
        ("- uuid", 1, ["column", "- agent: {agent: {empty: 0.05}}"]),
    ] {
        let error = read(text).unwrap_err();
        assert!(parts.iter().all(|part| error.contains(part)), "{error}");
        assert!(error.contains(&format!("line {line}")), "{error}");
    }
}
