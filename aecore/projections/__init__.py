"""Two-dimensional maps of samples: PCA, t-SNE and UMAP, computed once and stored."""

from __future__ import annotations

from aecore.projections.base import GRAPH_NEIGHBORS as GRAPH_NEIGHBORS
from aecore.projections.base import Projection as Projection
from aecore.projections.base import data_folder as data_folder
from aecore.projections.base import folder as folder
from aecore.projections.compute import PROJECTIONS as PROJECTIONS
from aecore.projections.compute import Map as Map
from aecore.projections.compute import Project as Project
from aecore.projections.compute import compute as compute
from aecore.projections.compute import get as get
from aecore.projections.compute import map_artifact as map_artifact
from aecore.projections.compute import measure as measure
from aecore.projections.graph import graph as graph
from aecore.projections.graph import graph_artifact as graph_artifact
from aecore.projections.pca import PCA as PCA
from aecore.projections.pca import PCAProjection as PCAProjection
from aecore.projections.pca import components as components
from aecore.projections.pca import components_artifact as components_artifact
from aecore.projections.pca import pca_mse as pca_mse
from aecore.projections.plane import Plane as Plane
from aecore.projections.plane import _plane_as_it_is as _plane_as_it_is
from aecore.projections.plane import fit_plane as fit_plane
from aecore.projections.plane import plane_of as plane_of
from aecore.projections.prepare import Prepare as Prepare
from aecore.projections.prepare import sprite_files as sprite_files
from aecore.projections.prepare import sprite_size as sprite_size
from aecore.projections.prepare import stored_sprite as stored_sprite
from aecore.projections.tsne import TSNEProjection as TSNEProjection
from aecore.projections.umap import UMAPProjection as UMAPProjection
from aecore.projections.umap import fuzzy_graph as fuzzy_graph
