"""The part of a store that keeps what measurements are of: architectures and devices."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import sqlalchemy as sa

from hwsearch._json import JsonObject, to_json
from hwsearch.errors import StoreError
from hwsearch.spaces import Architecture, SearchSpace
from hwsearch.store import schema
from hwsearch.store.connection import Database
from hwsearch.store.measurement_table import chunks


class SubjectTable:
    """Architectures and devices of a store, by the ids that measurements name.

    Attributes
    ----------
    database : Database
        Where they lie.
    """

    database: Database

    def add_architectures(self, archs: Iterable[Architecture]) -> int:
        """Keep the genes behind architecture ids.

        Parameters
        ----------
        archs : iterable of Architecture
            May be kept already.

        Returns
        -------
        int
            How many were new.
        """
        rows = {a.id: {"arch_id": a.id, "space": a.space_name, "genes": a.to_dict()} for a in archs}
        table = schema.architectures
        with self.database.write() as connection:
            for chunk in chunks(rows.keys()):
                for arch_id in connection.scalars(sa.select(table.c.arch_id).where(table.c.arch_id.in_(chunk))):
                    del rows[arch_id]
            if rows:
                connection.execute(sa.insert(table), list(rows.values()))
        return len(rows)

    def architecture_ids(self, space: SearchSpace) -> list[str]:
        """Read the ids of all kept architectures of a space.

        Parameters
        ----------
        space : SearchSpace
            Whose architectures.

        Returns
        -------
        list of str
            In alphabetical order.
        """
        table = schema.architectures
        query = sa.select(table.c.arch_id).where(table.c.space == space.name).order_by(table.c.arch_id)
        with self.database.read() as connection:
            return [str(i) for i in connection.scalars(query)]

    def architectures(self, space: SearchSpace, ids: Iterable[str] | None = None) -> list[Architecture]:
        """Read kept architectures of a space, by id.

        Parameters
        ----------
        space : SearchSpace
            Whose architectures.
        ids : iterable of str, optional
            Which; by default all. Those that are not kept are left out.

        Returns
        -------
        list of Architecture
            In the order of their ids.

        Raises
        ------
        SpaceError
            If one does not fit the space.
        """
        if ids is None:
            return self._architectures(space, sa.true())
        parts = (schema.architectures.c.arch_id.in_(part) for part in chunks(set(ids)))
        return [arch for part in parts for arch in self._architectures(space, part)]

    def architecture(self, space: SearchSpace, arch_id: str) -> Architecture:
        """Read the kept architecture with an id.

        Parameters
        ----------
        space : SearchSpace
            To which it belongs.
        arch_id : str
            `Architecture.id`.

        Returns
        -------
        Architecture
            With its genes.

        Raises
        ------
        StoreError
            If there is none.
        """
        found = self._architectures(space, schema.architectures.c.arch_id == arch_id)
        if not found:
            raise StoreError(
                f"store {self.database.label!r} holds no architecture {arch_id!r} of space {space.name!r}.",
                hint="Check the id, and that the campaign's supernet is the same.",
            )
        return found[0]

    def _architectures(self, space: SearchSpace, condition: sa.ColumnElement[bool]) -> list[Architecture]:
        table = schema.architectures
        query = (
            sa.select(table.c.arch_id, table.c.genes)
            .where(table.c.space == space.name, condition)
            .order_by(table.c.arch_id)
        )
        with self.database.read() as connection:
            rows = connection.execute(query).all()
        for arch_id, genes in rows:
            if not isinstance(genes, dict):
                raise StoreError(f"store {self.database.label!r} is damaged: the genes of {arch_id!r} are none.")
        found = [Architecture(space.name, genes) for _, genes in rows]
        space.to_array(found)  # raises for genes the space does not have
        for arch, (arch_id, _) in zip(found, rows, strict=True):
            if arch.id != arch_id:
                raise StoreError(f"store {self.database.label!r} holds genes of {arch.id} under the id {arch_id!r}.")
        return found

    def add_device(self, fingerprint: str, name: str, description: Mapping[str, Any]) -> bool:
        """Keep what a device's fingerprint stands for; the first description wins.

        Parameters
        ----------
        fingerprint, name : str
            Of the device.
        description : mapping
            Its facts; JSON-able.

        Returns
        -------
        bool
            Whether it was new.
        """
        row = {
            "fingerprint": fingerprint,
            "name": name,
            "description": to_json(description, "device", error=StoreError, nan_to_none=True),
        }
        table = schema.devices
        with self.database.write() as connection:
            if connection.scalar(sa.select(table.c.name).where(table.c.fingerprint == fingerprint)) is not None:
                return False
            connection.execute(sa.insert(table), row)
        return True

    def devices(self) -> dict[str, tuple[str, JsonObject]]:
        """Read all kept devices.

        Returns
        -------
        dict of str to (str, dict)
            Name and description by fingerprint.
        """
        with self.database.read() as connection:
            rows = connection.execute(sa.select(schema.devices).order_by(schema.devices.c.fingerprint)).all()
        for row in rows:
            if not isinstance(row.description, dict):
                raise StoreError(
                    f"store {self.database.label!r} is damaged: device {row.fingerprint!r} has no description."
                )
        return {row.fingerprint: (row.name, row.description) for row in rows}
