"""`/`, `/datasets/..`, `/releases` and `/search`: the front page, and what stands beside runs."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, BackgroundTasks, Path, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from provenance.errors import UnavailableError
from provenance_api.explorer.basis import Basis
from provenance_api.explorer.models import Datasets, Found, Home, Releases
from provenance_api.explorer.onchain.revocations import dataset_page as with_chain
from provenance_api.explorer.onchain.revoked_models import DatasetPage
from provenance_api.explorer.search import search
from provenance_api.explorer.shelves import dataset_detail, dataset_page, home, release_page
from provenance_api.routes.answers import Format, Rows, reply, responses, wants_html
from provenance_api.web.explorer import ExplorerPages

DatasetText = Annotated[str, Path(description="0x and 64 hex digits", max_length=80)]
Handle = Annotated[
    str,
    Query(
        alias="q",
        description="Id of a run or dataset, digest of a record, file or manifest, entry, root, "
        "name[:version], address of a contract or account, id of a key, hash of a transaction, or "
        "hash or number of a block.",
    ),
]
_REDIRECT = {"description": "A page was wanted, and one thing has the handle: it is there."}


def explorer_routes(basis: Basis, pages: ExplorerPages) -> APIRouter:
    """The front page, datasets, releases, and the search."""
    router = APIRouter(tags=["explorer"])

    @router.get(
        "/",
        operation_id="getHome",
        summary="What is here: counts, the newest runs and releases",
        responses=responses(Home, "The front page."),
    )
    def get_home(request: Request, background: BackgroundTasks, format_: Format = None) -> Response:
        background.add_task(basis.catalog.scan.keep_up)
        try:
            value = home(basis)
        except UnavailableError as error:
            if not wants_html(request, format_):
                raise
            headers = {"Vary": "Accept"}
            return HTMLResponse(pages.home(None, error.what), HTTPStatus.OK, headers)
        return reply(request, format_, value, lambda: pages.home(value, None))

    @router.get(
        "/datasets",
        operation_id="listDatasets",
        summary="Datasets that runs here name",
        responses=responses(Datasets, "A page of datasets."),
    )
    def list_datasets(request: Request, rows: Rows, format_: Format = None) -> Response:
        value = dataset_page(basis, rows.after, rows.limit)
        return reply(request, format_, value, lambda: pages.datasets(value))

    @router.get(
        "/datasets/{dataset_id}",
        operation_id="getDataset",
        summary="A dataset: root, count, depth, and runs that name it. Never its contents",
        responses=responses(DatasetPage, "The dataset."),
    )
    def get_dataset(request: Request, dataset_id: DatasetText, format_: Format = None) -> Response:
        value = with_chain(basis, dataset_detail(basis, dataset_id))
        return reply(request, format_, value, lambda: pages.dataset(value))

    @router.get(
        "/releases",
        operation_id="listReleases",
        summary="Releases in the evidence folders of this service",
        responses=responses(Releases, "A page of releases."),
    )
    def list_releases(
        request: Request, background: BackgroundTasks, rows: Rows, format_: Format = None
    ) -> Response:
        background.add_task(basis.catalog.scan.keep_up)
        value = release_page(basis, rows.after, rows.limit)
        return reply(request, format_, value, lambda: pages.releases(value))

    @router.get(
        "/search",
        operation_id="search",
        summary="Everything that a handle names",
        responses=responses(Found, "What was found.") | {303: _REDIRECT},
    )
    def get_search(request: Request, handle: Handle, format_: Format = None) -> Response:
        value = search(basis, handle)
        if wants_html(request, format_) and len(value.hits) == 1:
            headers = {"Vary": "Accept"}
            return RedirectResponse(value.hits[0].href, HTTPStatus.SEE_OTHER, headers)
        return reply(request, format_, value, lambda: pages.found(value))

    return router
