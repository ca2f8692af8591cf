//! What all schemas of a kind have in common, so that no type has to repeat it:
//!
//! - What an answer always holds is required, also where it may be null. So a field of an answer
//!   either may lack or may be null, and a view says which: one that is left out where there is
//!   nothing has `#[schema(nullable = false)]`.
//! - A parameter may lack, but is never null: it is a text in a path, a query or a header.
//! - A short text that comes in holds no control characters (`text.rs`).

use std::collections::BTreeSet;

use utoipa::openapi::path::{Operation, Parameter, PathItem};
use utoipa::openapi::schema::{AdditionalProperties, ArrayItems, Object, SchemaType, Type};
use utoipa::openapi::{Content, OpenApi, RefOr, Response, Schema};

use crate::domain::event::MAX_TEXT;

/// What short texts look like (`text::check`).
const TEXT: &str = r"^[^\u0000-\u001f\u007f-\u009f]*$";
/// What stands before a schema's name in a reference.
const SCHEMAS: &str = "#/components/schemas/";

/// Adds all of it.
pub fn add(document: &mut OpenApi) {
    let mut sent = BTreeSet::new();
    for item in document.paths.paths.values() {
        for operation in operations(item) {
            if let Some(RefOr::T(body)) = &operation.request_body {
                note_all(body.content.values(), &mut sent);
            }
        }
    }
    let schemas = document.components.as_ref().map(|all| &all.schemas);
    let reach = |mut found: BTreeSet<String>| {
        let mut new: Vec<String> = found.iter().cloned().collect();
        while let Some(name) = new.pop() {
            let mut further = BTreeSet::new();
            if let Some(schema) = schemas.and_then(|all| all.get(&name)) {
                note(schema, &mut further);
            }
            new.extend(further.difference(&found).cloned());
            found.extend(further);
        }
        found
    };
    let sent = reach(sent);
    for item in document.paths.paths.values_mut() {
        for operation in operations_mut(item) {
            for parameter in operation.parameters.iter_mut().flatten() {
                if let RefOr::T(parameter) = parameter {
                    of_parameter(parameter);
                }
            }
            for answer in operation.responses.responses.values_mut() {
                of_answer(answer);
            }
        }
    }
    let all = document.components.iter_mut();
    for (name, schema) in all.flat_map(|all| all.schemas.iter_mut()) {
        if sent.contains(name) {
            each_object(schema, &mut without_control_characters);
        } else {
            each_object(schema, &mut require_what_may_be_null);
        }
    }
}

fn operations(item: &PathItem) -> impl Iterator<Item = &Operation> {
    let PathItem {
        get,
        put,
        post,
        delete,
        patch,
        ..
    } = item;
    [get, put, post, delete, patch].into_iter().flatten()
}

fn operations_mut(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    let PathItem {
        get,
        put,
        post,
        delete,
        patch,
        ..
    } = item;
    [get, put, post, delete, patch].into_iter().flatten()
}

fn note_all<'a>(content: impl Iterator<Item = &'a RefOr<Content>>, found: &mut BTreeSet<String>) {
    for one in content {
        if let RefOr::T(Content {
            schema: Some(schema),
            ..
        }) = one
        {
            note(schema, found);
        }
    }
}

/// The names that a schema refers to.
fn note(schema: &RefOr<Schema>, found: &mut BTreeSet<String>) {
    match schema {
        RefOr::Ref(one) => found.extend(one.ref_location.strip_prefix(SCHEMAS).map(str::to_owned)),
        RefOr::T(schema) => parts(schema, &mut |part| note(part, found)),
    }
}

/// What a schema is made of.
fn parts<'a>(schema: &'a Schema, each: &mut dyn FnMut(&'a RefOr<Schema>)) {
    match schema {
        Schema::Array(array) => {
            if let ArrayItems::RefOrSchema(items) = &array.items {
                each(items);
            }
        }
        Schema::Object(object) => {
            object.properties.values().for_each(&mut *each);
            if let Some(AdditionalProperties::RefOr(more)) = object.additional_properties.as_deref()
            {
                each(more);
            }
        }
        Schema::OneOf(all) => all.items.iter().for_each(each),
        Schema::AllOf(all) => all.items.iter().for_each(each),
        Schema::AnyOf(all) => all.items.iter().for_each(each),
        _ => {}
    }
}

/// Every part of a schema that is no reference, itself included.
fn each_object(schema: &mut RefOr<Schema>, each: &mut dyn FnMut(&mut Object)) {
    let RefOr::T(schema) = schema else { return };
    match schema {
        Schema::Array(array) => {
            if let ArrayItems::RefOrSchema(items) = &mut array.items {
                each_object(items, each);
            }
        }
        Schema::Object(object) => {
            each(object);
            let properties = object.properties.values_mut();
            properties.for_each(|one| each_object(one, each));
            if let Some(AdditionalProperties::RefOr(more)) =
                object.additional_properties.as_deref_mut()
            {
                each_object(more, each);
            }
        }
        Schema::OneOf(all) => all.items.iter_mut().for_each(|one| each_object(one, each)),
        Schema::AllOf(all) => all.items.iter_mut().for_each(|one| each_object(one, each)),
        Schema::AnyOf(all) => all.items.iter_mut().for_each(|one| each_object(one, each)),
        _ => {}
    }
}

fn require_what_may_be_null(object: &mut Object) {
    let nullable = object.properties.iter().filter(|(_, one)| may_be_null(one));
    for (name, _) in nullable {
        if !object.required.contains(name) {
            object.required.push(name.clone());
        }
    }
}

fn may_be_null(schema: &RefOr<Schema>) -> bool {
    match schema {
        RefOr::Ref(_) => false,
        RefOr::T(Schema::Object(object)) => has_null(&object.schema_type),
        RefOr::T(Schema::Array(array)) => has_null(&array.schema_type),
        RefOr::T(Schema::OneOf(all)) => all.items.iter().any(may_be_null),
        RefOr::T(Schema::AnyOf(all)) => all.items.iter().any(may_be_null),
        RefOr::T(_) => false,
    }
}

fn has_null(types: &SchemaType) -> bool {
    match types {
        SchemaType::Type(one) => *one == Type::Null,
        SchemaType::Array(several) => several.contains(&Type::Null),
        SchemaType::AnyValue => false,
    }
}

fn without_control_characters(object: &mut Object) {
    let is_short_text = object.max_length == Some(MAX_TEXT);
    if is_short_text && object.pattern.is_none() {
        object.pattern = Some(TEXT.to_owned());
    }
}

fn of_answer(answer: &mut RefOr<Response>) {
    let RefOr::T(answer) = answer else { return };
    for content in answer.content.values_mut() {
        if let RefOr::T(Content {
            schema: Some(schema),
            ..
        }) = content
        {
            each_object(schema, &mut require_what_may_be_null);
        }
    }
}

fn of_parameter(parameter: &mut Parameter) {
    let Some(schema) = &mut parameter.schema else {
        return;
    };
    without_null(schema);
    each_object(schema, &mut without_control_characters);
}

fn without_null(schema: &mut RefOr<Schema>) {
    let only = match schema {
        RefOr::T(Schema::Object(object)) => {
            if let SchemaType::Array(types) = &mut object.schema_type {
                types.retain(|one| *one != Type::Null);
                if let [one] = types.as_slice() {
                    object.schema_type = SchemaType::Type(one.clone());
                }
            }
            None
        }
        RefOr::T(Schema::OneOf(all)) => {
            all.items.retain(|one| !may_be_null(one));
            match all.items.as_slice() {
                [one] => Some(one.clone()),
                _ => None,
            }
        }
        _ => None,
    };
    if let Some(only) = only {
        *schema = only;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use jsonschema::Validator;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::super::document;
    use super::SCHEMAS;
    use crate::domain::event_type::{EventPattern, EventType};
    use crate::http::text;

    fn described() -> Value {
        serde_json::to_value(document()).unwrap()
    }

    fn is_nullable(schema: &Value) -> bool {
        let types = schema["type"].as_array();
        let any = ["oneOf", "anyOf"].map(|key| schema[key].as_array());
        schema["type"] == "null"
            || types.is_some_and(|types| types.contains(&"null".into()))
            || any.into_iter().flatten().flatten().any(is_nullable)
    }

    /// Every object with properties within a schema.
    fn objects<'a>(schema: &'a Value, found: &mut Vec<&'a Value>) {
        if schema["properties"].is_object() {
            found.push(schema);
        }
        match schema {
            Value::Object(fields) => fields.values().for_each(|one| objects(one, found)),
            Value::Array(items) => items.iter().for_each(|one| objects(one, found)),
            _ => {}
        }
    }

    /// The names that a part of the document refers to.
    fn named(part: &Value, found: &mut BTreeSet<String>) {
        match part {
            Value::Object(fields) => {
                let name = fields.get("$ref").and_then(Value::as_str);
                found.extend(name.and_then(|name| Some(name.strip_prefix(SCHEMAS)?.to_owned())));
                fields.values().for_each(|one| named(one, found));
            }
            Value::Array(items) => items.iter().for_each(|one| named(one, found)),
            _ => {}
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(8))]

        /// Among them texts that nearly fit.
        #[test]
        fn the_document_says_of_texts_what_their_readers_say(
            texts in prop::collection::vec(prop_oneof![
                any::<String>(),
                "[a-z\u{0}-\u{1f}\u{7f}-\u{9f}é]{0,6}",
                "[é]{250,260}",
                "[a-bA-Z0-9._*-]{0,8}",
                "posthaste[.a*-]{0,3}",
                "[a-b.]{250,260}",
            ], 500),
        ) {
            let document = described();
            let said_of = |schema: &str, field: &str| -> Validator {
                let field = &document["components"]["schemas"][schema]["properties"][field];
                jsonschema::validator_for(field).unwrap()
            };
            let name = said_of("NewKey", "name");
            let event_types = ["NewEvent", "NewTestSend"].map(|body| said_of(body, "eventType"));
            let patterns = said_of("NewSubscription", "eventTypes");
            for given in texts {
                let value = Value::from(given.as_str());
                prop_assert_eq!(name.is_valid(&value), text::check(&given).is_ok(), "{:?}", given);
                let is_type = EventType::parse(&given).is_ok();
                for event_type in &event_types {
                    prop_assert_eq!(event_type.is_valid(&value), is_type, "{:?}", given);
                }
                let is_pattern = EventPattern::parse(&given).is_ok();
                prop_assert_eq!(patterns.is_valid(&value), is_pattern, "{:?}", given);
                prop_assert_eq!(patterns.is_valid(&json!([given])), is_pattern, "{:?}", given);
            }
        }
    }

    #[test]
    fn a_field_of_an_answer_may_lack_or_be_null_and_not_both() {
        let document = described();
        let schemas = document["components"]["schemas"].as_object().unwrap();
        let mut sent = BTreeSet::new();
        for item in document["paths"].as_object().unwrap().values() {
            for operation in item.as_object().unwrap().values() {
                named(&operation["requestBody"], &mut sent);
            }
        }
        // What bodies are made of may lack and be null in answers as well.
        loop {
            let before = sent.clone();
            before
                .iter()
                .for_each(|name| named(&schemas[name], &mut sent));
            if sent == before {
                break;
            }
        }
        let (mut always, mut sometimes) = (0, 0);
        for (name, schema) in schemas {
            if sent.contains(name) {
                continue;
            }
            let mut found = Vec::new();
            objects(schema, &mut found);
            for object in found {
                let required = object["required"].as_array();
                for (field, schema) in object["properties"].as_object().unwrap() {
                    let is_required =
                        required.is_some_and(|all| all.contains(&field.as_str().into()));
                    assert!(
                        is_required || !is_nullable(schema),
                        "{name}.{field} may lack and may be null: which?"
                    );
                    always += usize::from(is_required && is_nullable(schema));
                    sometimes += usize::from(!is_required);
                }
            }
        }
        assert!(always > 60 && sometimes > 15, "{always} {sometimes}");
    }

    #[test]
    fn no_parameter_is_null_and_no_short_text_controls_anything() {
        let document = described();
        let mut texts = 0;
        for item in document["paths"].as_object().unwrap().values() {
            for operation in item.as_object().unwrap().values() {
                for parameter in operation["parameters"].as_array().into_iter().flatten() {
                    let schema = &parameter["schema"];
                    assert!(!is_nullable(schema), "{parameter}");
                    if schema["maxLength"] == 255 {
                        texts += 1;
                        assert!(schema["pattern"].is_string(), "{parameter}");
                    }
                }
            }
        }
        assert!(texts > 20, "{texts}");
        let name = &document["components"]["schemas"]["NewKey"]["properties"]["name"];
        assert_eq!(name["pattern"], super::TEXT);
    }
}
