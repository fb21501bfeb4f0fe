"""Pages of ours that are no change forms: an order's history, and the parts of pages that poll themselves."""

from django.urls import path

from orders import (
    approval_pages,
    command_pages,
    command_views,
    engine_views,
    playbook_editor_pages,
    playbook_pages,
    playbook_run_pages,
    return_views,
    views,
)

app_name = "orders"
urlpatterns = [
    path("dashboard/live/", views.dashboard_live, name="dashboard-live"),
    path("approvals/", approval_pages.asked, name="approvals-asked"),
    path("approvals/<uuid:pk>/", approval_pages.approval_page, name="approval"),
    path("approvals/<uuid:pk>/approve/", approval_pages.approve, name="approval-approve"),
    path("approvals/<uuid:pk>/decline/", approval_pages.decline, name="approval-decline"),
    path("playbooks/", playbook_pages.playbook_list, name="playbooks"),
    path("playbooks/<slug:slug>/", playbook_pages.playbook_page, name="playbook"),
    path("playbooks/<slug:slug>/edit/", playbook_editor_pages.edit, name="playbook-edit"),
    path("playbooks/<slug:slug>/simulate/", playbook_editor_pages.simulate, name="playbook-simulate"),
    path("playbooks/<slug:slug>/diff/", playbook_pages.diff, name="playbook-diff"),
    path("playbooks/<slug:slug>/starts/", playbook_pages.starts, name="playbook-trigger"),
    *(
        path(
            f"playbooks/<slug:slug>/<int:number>/{name}/",
            playbook_pages.give,
            {"command": name},
            name=f"playbook-{name}",
        )
        for name in playbook_pages.BUTTONS
    ),
    path("playbook-new/", playbook_editor_pages.edit, name="playbook-new"),
    path("playbook-runs/<uuid:pk>/", playbook_run_pages.run_page, name="playbook-run"),
    path("playbook-runs/<uuid:pk>/live/", playbook_run_pages.run_live, name="playbook-run-live"),
    *(
        path(f"playbook-runs/<uuid:pk>/{name}/", playbook_run_pages.give, {"command": name}, name=f"playbook-{name}")
        for name in playbook_run_pages.BUTTONS
    ),
    path("<str:number>/playbook/", playbook_run_pages.start, name="playbook-start"),
    path("<str:number>/playbook/runs/", playbook_run_pages.order_runs, name="playbook-runs"),
    path("<str:number>/", views.order_page, name="page"),
    path("<str:number>/live/", views.order_live, name="live"),
    path("<str:number>/engine/", engine_views.order_engine, name="engine"),
    path("<str:number>/cancel/", command_views.cancel, name="cancel"),
    path("<str:number>/refund/", command_views.refund, name="refund"),
    path("<str:number>/return/", return_views.announce, name="return-announce"),
    path("<str:number>/return/receive/", return_views.receive, name="return-receive"),
    path("<str:number>/return/withdraw/", return_views.withdraw, name="return-withdraw"),
    path("<str:number>/return/refund/", return_views.refund, name="return-refund"),
    path("<str:number>/return/close/", return_views.close, name="return-close"),
    *(
        path(f"<str:number>/{name.replace('-', '/')}/", command_pages.ask, {"command": name}, name=name)
        for name in command_pages.PAGES
    ),
    *(
        path(f"<str:number>/{name.replace('-', '/')}/", command_views.give, {"command": name}, name=name)
        for name in command_views.BUTTONS
        if name not in {"cancel", "refund", *command_pages.PAGES}
    ),
]
