"""The one way in which an account may take words out of a text that it may not write: `orders_mask`.

An erasure reaches rows that no account changes, so a function of the owner does it. It believes nothing of what it is
told: it touches only the columns that the registry of texts declares as masked, and stores a text only when it is the
stored one with the mark of an erasure in place of some of its words. So a web process that was taken over can take
words out, which shows, and can put none in.
"""

from __future__ import annotations

from typing import Any

import pgtrigger
from django.db import connection
from django.db.models import JSONField, Model
from psycopg.sql import SQL, Composable, Literal
from psycopg.types.json import Jsonb

from orders.services.seals.masked_lines import LOGS
from orders.services.texts.masking import DIGESTS, MARK
from orders.services.texts.registry import MASKED, columns

SIGNATURE = "public.orders_mask(text, text, jsonb, jsonb)"
#: of two texts: is the second the first, with the mark in place of something here and there? What stands between two
#: marks is looked for as far to the left as it can stand, so that nothing that fits is refused.
TEXT = SQL(
    """
    CREATE OR REPLACE FUNCTION public.orders_has_only_lost(before text, after text) RETURNS boolean
    LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    DECLARE
        pieces text[] := string_to_array(after, {mark});
        last text := pieces[cardinality(pieces)];
        place int;
        found int;
    BEGIN
        IF before = after THEN
            RETURN true;
        END IF;
        IF cardinality(pieces) < 2 OR NOT starts_with(before, pieces[1]) THEN
            RETURN false;
        END IF;
        place := length(pieces[1]) + 1;
        FOR number IN 2 .. cardinality(pieces) - 1 LOOP
            found := strpos(substr(before, place + 1), pieces[number]);
            IF found = 0 THEN
                RETURN false;
            END IF;
            place := place + found + length(pieces[number]);
        END LOOP;
        RETURN length(before) - length(last) >= place AND right(before, length(last)) = last;
    END $$
    """
)
#: the same for all texts of a document, and for its names. A number of Python may have lost digits after the point.
DOCUMENT = SQL(
    """
    CREATE OR REPLACE FUNCTION public.orders_document_has_only_lost(before jsonb, after jsonb) RETURNS boolean
    LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    BEGIN
        IF before = after THEN
            RETURN true;
        END IF;
        IF jsonb_typeof(before) <> jsonb_typeof(after) THEN
            RETURN false;
        END IF;
        RETURN CASE jsonb_typeof(before)
            WHEN 'string' THEN public.orders_has_only_lost(before #>> '{{}}', after #>> '{{}}')
            WHEN 'number' THEN strpos(before #>> '{{}}', '.') > 0
                AND (before #>> '{{}}')::float8 = (after #>> '{{}}')::float8
            WHEN 'array' THEN jsonb_array_length(before) = jsonb_array_length(after) AND NOT EXISTS (
                SELECT FROM generate_series(0, jsonb_array_length(before) - 1) AS number
                WHERE NOT public.orders_document_has_only_lost(before -> number, after -> number))
            WHEN 'object' THEN NOT EXISTS (
                SELECT FROM jsonb_each(after) AS now WHERE NOT EXISTS (
                    SELECT FROM jsonb_each(before) AS old
                    WHERE public.orders_has_only_lost(old.key, now.key)
                        AND public.orders_document_has_only_lost(old.value, now.value)))
                AND NOT EXISTS (
                SELECT FROM jsonb_object_keys(before) AS old WHERE NOT EXISTS (
                    SELECT FROM jsonb_object_keys(after) AS now WHERE public.orders_has_only_lost(old, now)))
            ELSE false
        END;
    END $$
    """
)
#: `texts` are the columns as they shall be, `digests` those that cover them. Where the row belongs to a sealed log, it
#: answers log, row and the hashes of the row's line before and after, and notes them for whoever verifies the seal.
MASK = SQL(
    """
    CREATE OR REPLACE FUNCTION public.orders_mask(wanted text, row_key text, texts jsonb, digests jsonb)
    RETURNS TABLE (log text, before_hash text, after_hash text) LANGUAGE plpgsql STRICT SECURITY DEFINER
    SET search_path = pg_catalog, public, pg_temp SET timezone = 'UTC' SET pgtrigger.ignore = {asleep} AS $$
    #variable_conflict use_column
    DECLARE
        known jsonb := {tables}::jsonb -> wanted;
        row_is text;
        line_of text;
        old jsonb;
        name text;
        written text[] := '{{}}';
        update_of text;
        line_before text;
        line_after text;
    BEGIN
        IF known IS NULL OR NOT (known -> 'columns' ?& ARRAY(SELECT jsonb_object_keys(texts))) OR texts = '{{}}' THEN
            RAISE EXCEPTION 'Nothing of that is a text that an erasure masks.' USING ERRCODE = 'insufficient_privilege';
        END IF;
        row_is := format('t.%I = CAST(%L AS %s)', known ->> 'key', row_key, known ->> 'key_type');
        EXECUTE format('SELECT to_jsonb(found) FROM (SELECT %s FROM public.%I AS t WHERE %s FOR UPDATE) AS found',
            (SELECT string_agg(format('t.%I', key), ', ') FROM jsonb_object_keys(texts || digests) AS key),
            wanted, row_is) INTO old;
        FOR name IN SELECT jsonb_object_keys(texts) LOOP
            IF known -> 'columns' ->> name = 'document' THEN
                IF public.orders_document_has_only_lost(old -> name, texts -> name) IS NOT true THEN
                    RAISE EXCEPTION '% of % would say something new.', name, wanted
                        USING ERRCODE = 'insufficient_privilege';
                END IF;
                written := written || format('%I = CAST(%L AS jsonb)', name, texts -> name);
            ELSE
                IF jsonb_typeof(texts -> name) <> 'string'
                    OR public.orders_has_only_lost(old ->> name, texts ->> name) IS NOT true THEN
                    RAISE EXCEPTION '% of % would say something new.', name, wanted
                        USING ERRCODE = 'insufficient_privilege';
                END IF;
                -- The mark may be longer than the name.
                written := written || format('%I = left(%L, %s - length($1)) || $1', name, texts ->> name,
                    coalesce(known -> 'columns' ->> name, '1000000000'));
            END IF;
        END LOOP;
        FOR name IN SELECT jsonb_object_keys(digests) LOOP
            -- A digest changes with what it covers, and never alone.
            IF NOT EXISTS (
                SELECT FROM jsonb_array_elements_text(known -> 'digests' -> name) AS covered
                WHERE texts ? covered AND texts -> covered IS DISTINCT FROM old -> covered
            ) OR digests ->> name !~ '^([A-Za-z0-9._-]{{1,64}}:)?[0-9a-f]{{64}}$' THEN
                RAISE EXCEPTION 'Nothing that % covers is masked.', name USING ERRCODE = 'insufficient_privilege';
            END IF;
            written := written || format('%I = %L', name, digests ->> name);
        END LOOP;
        update_of := format('UPDATE public.%I AS t SET %s WHERE %s', wanted, array_to_string(written, ', '), row_is);
        IF known ? 'log' THEN
            line_of := format('SELECT encode(sha256(convert_to(one.line, ''UTF8'')), ''hex'') FROM public.%I AS t,'
                ' LATERAL public.orders_log_lines(%L, t.%I, t.%I + interval ''1 microsecond'') AS one'
                ' WHERE %s AND one.id = %L',
                wanted, known ->> 'log', known ->> 'log_at', known ->> 'log_at', row_is, row_key);
            EXECUTE line_of INTO line_before;
        END IF;
        BEGIN
            EXECUTE update_of USING '';
        EXCEPTION WHEN unique_violation THEN
            -- The name was all that told it from another row.
            EXECUTE update_of USING ' ' || row_key;
        END;
        IF wanted = 'orders_playbookversion' AND digests ? 'hash' THEN
            UPDATE public.orders_playbookrun SET version_hash = digests ->> 'hash'
            WHERE version_id = row_key::bigint AND version_hash = old ->> 'hash';
        END IF;
        IF NOT known ? 'log' THEN
            RETURN;
        END IF;
        EXECUTE line_of INTO line_after;
        IF line_after = line_before THEN
            RETURN;
        END IF;
        -- What was changed behind the note of an earlier erasure stays found.
        RETURN QUERY
            INSERT INTO public.orders_maskedline AS noted (log, row_key, before_hash, after_hash, keyed_digest, at)
            VALUES (known ->> 'log', row_key, line_before, line_after, '', now())
            ON CONFLICT (log, row_key) DO UPDATE SET after_hash = line_after, at = now()
            WHERE noted.after_hash = line_before
            RETURNING noted.log::text, line_before, line_after;
    END $$
    """
)


def create(**_: object) -> None:
    """After migrations: make the function anew, for the registry may declare other columns than before.

    Nobody may call it until `database_roles.grant` says who.
    """
    tables = {model._meta.db_table: _known(model, names) for model, names in columns(MASKED).items()}
    statements: list[Composable] = [
        TEXT.format(mark=Literal(MARK)),
        DOCUMENT.format(),
        MASK.format(asleep=Literal(_asleep()), tables=Literal(Jsonb(tables))),
    ]
    owned = (SIGNATURE, "public.orders_has_only_lost(text, text)", "public.orders_document_has_only_lost(jsonb, jsonb)")
    statements += [SQL("REVOKE ALL ON FUNCTION {} FROM PUBLIC").format(SQL(name)) for name in owned]
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)  # type: ignore[arg-type]


def _known(model: type[Model], names: tuple[str, ...]) -> dict[str, Any]:
    """What the function knows of a table."""
    key = model._meta.pk
    fields = {str(field.column): field for field in map(model._meta.get_field, names)}  # type: ignore[union-attr]
    known: dict[str, Any] = {
        "key": key.column,
        "key_type": key.rel_db_type(connection),
        # The most characters that a text may have, or that it is a document.
        "columns": {
            column: "document" if isinstance(field, JSONField) else getattr(field, "max_length", None)
            for column, field in fields.items()
        },
        "digests": DIGESTS.get(model, {}),
    }
    if model._meta.db_table in LOGS:
        known["log"], known["log_at"] = LOGS[model._meta.db_table]
    return known


def _asleep() -> str:
    """The triggers that keep masked columns as they were written; the law outranks them."""
    triggers = [
        trigger.get_pgid(model)  # type: ignore[arg-type]
        for model in columns(MASKED)
        for trigger in getattr(model._meta, "triggers", ())
        if isinstance(trigger, pgtrigger.ReadOnly)
    ]
    return "{" + ",".join(triggers) + "}"
