"""What erasing a customer writes over in rows that no account may change, with the rights of the owner.

Each function touches rows of an erased customer's orders only. pgtrigger believes its switch from the owner alone
(backoffice/database_roles.py), so the functions set it for themselves.
"""

from django.db import migrations

FORGET_RUN = """
CREATE FUNCTION public.orders_forget_playbook_run(run uuid, new_inputs jsonb, new_reason text, new_message text)
RETURNS void LANGUAGE sql SECURITY DEFINER
SET search_path = public, pg_temp SET pgtrigger.ignore = '{pgtrigger_written_once_f86ba}'
AS $$
    UPDATE orders_playbookrun SET inputs = new_inputs, reason = new_reason, message = new_message
    WHERE id = run AND EXISTS (
        SELECT FROM orders_order JOIN orders_customer ON orders_customer.id = orders_order.customer_id
        WHERE orders_order.id = orders_playbookrun.order_id AND orders_customer.erased_at IS NOT NULL
    )
$$
"""
FORGET_APPROVAL = """
CREATE FUNCTION public.orders_forget_approval(approval uuid, new_reason text, new_decision text)
RETURNS void LANGUAGE sql SECURITY DEFINER
SET search_path = public, pg_temp SET pgtrigger.ignore = '{pgtrigger_asked_once_d3fde}'
AS $$
    UPDATE orders_approval SET reason = new_reason, decision = new_decision
    WHERE id = approval AND EXISTS (
        SELECT FROM orders_order JOIN orders_customer ON orders_customer.id = orders_order.customer_id
        WHERE orders_order.number = orders_approval.subject AND orders_customer.erased_at IS NOT NULL
    )
$$
"""


class Migration(migrations.Migration):
    dependencies = [("orders", "0100_accounts_of_people")]

    operations = [
        migrations.RunSQL(FORGET_RUN, "DROP FUNCTION public.orders_forget_playbook_run(uuid, jsonb, text, text)"),
        migrations.RunSQL(FORGET_APPROVAL, "DROP FUNCTION public.orders_forget_approval(uuid, text, text)"),
    ]
