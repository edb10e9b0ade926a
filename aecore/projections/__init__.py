"""Two-dimensional maps of samples: PCA, t-SNE and UMAP, computed once and stored."""

from __future__ import annotations

from aecore.projections.base import (
    GRAPH_NEIGHBORS as GRAPH_NEIGHBORS,
    Projection as Projection,
    data_folder as data_folder,
    files_of as files_of,
    folder as folder,
)
from aecore.projections.maps import (
    PROJECTIONS as PROJECTIONS,
    Map as Map,
    Project as Project,
    compute as compute,
    get as get,
    map_artifact as map_artifact,
    measure as measure,
)
from aecore.projections.neighbor_graph import graph as graph, graph_artifact as graph_artifact
from aecore.projections.pca import (
    PCA as PCA,
    PCAProjection as PCAProjection,
    components as components,
    components_artifact as components_artifact,
    pca_mse as pca_mse,
)
from aecore.projections.plane import (
    Plane as Plane,
    _plane_as_it_is as _plane_as_it_is,
    fit_plane as fit_plane,
    plane_of as plane_of,
)
from aecore.projections.prepare import (
    Prepare as Prepare,
    sprite_files as sprite_files,
    sprite_size as sprite_size,
    sprite_splits as sprite_splits,
    stored_sprite as stored_sprite,
)
from aecore.projections.tsne import TSNEProjection as TSNEProjection
from aecore.projections.umap import UMAPProjection as UMAPProjection, fuzzy_graph as fuzzy_graph
