"""Pages of ours that are no change forms: an order's history, and the parts of pages that poll themselves."""

from django.urls import path

from orders import command_pages, command_views, engine_views, return_views, views

app_name = "orders"
urlpatterns = [
    path("dashboard/live/", views.dashboard_live, name="dashboard-live"),
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
