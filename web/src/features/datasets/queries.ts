import { keepPreviousData, queryOptions } from "@tanstack/react-query";
import { api, of, type Schemas } from "@/lib/api";

export type Dataset = Schemas["DatasetBody"];
export type DatasetDetails = Schemas["DatasetDetails"];

/** One row that cannot be used is enough to refuse a training. */
export const canBeTrainedOn = ({ report }: DatasetDetails) => report.usable > 0 && report.errors_count === 0;

/** Where to begin: at the row of a number, or at the how-manieth of those that can be used. */
export interface Place {
  row?: number;
  offset?: number;
}

/** Data sets, newest first. */
export const datasetsQuery = queryOptions({ queryKey: ["datasets"], queryFn: () => of(api.GET("/api/datasets")) });

/** One, with what the check found. Only who looks at it hears of its changes: afterwards it is not kept. */
export const datasetQuery = (id: string) =>
  queryOptions({
    queryKey: ["dataset", id],
    queryFn: () => of(api.GET("/api/datasets/{dataset_id}", { params: { path: { dataset_id: id } } })),
    gcTime: 0,
  });

export const deletionKey = (id: string) => ["delete dataset", id];

/** What is in it depends on its bytes and on which column holds what: another name changes nothing. */
const contentKey = ({ id, sha256, mapping }: Dataset) => ["dataset content", id, sha256, mapping] as const;

export const columnsQuery = (dataset: Dataset) =>
  queryOptions({
    queryKey: ["columns", dataset.id, dataset.sha256],
    queryFn: () => of(api.GET("/api/datasets/{dataset_id}/columns", { params: { path: { dataset_id: dataset.id } } })),
  });

export const rowsQuery = (dataset: Dataset, place: Place, limit: number) =>
  queryOptions({
    queryKey: [...contentKey(dataset), "rows", place, limit],
    queryFn: () => {
      const params = { path: { dataset_id: dataset.id }, query: { ...place, limit } };
      return of(api.GET("/api/datasets/{dataset_id}/rows", { params }));
    },
    placeholderData: keepPreviousData,
  });

export const tokensQuery = (dataset: Dataset, model: string, maxLength: number, place: Place) =>
  queryOptions({
    queryKey: [...contentKey(dataset), "tokens", model, maxLength, place],
    queryFn: () => {
      const query = { ...place, model, max_length: maxLength, limit: 1 };
      return of(api.GET("/api/datasets/{dataset_id}/tokens", { params: { path: { dataset_id: dataset.id }, query } }));
    },
    placeholderData: keepPreviousData,
  });

/** The check with the token counts of a model: every row is cut into tokens for it. */
export const checkQuery = (dataset: Dataset, model: string, maxLength: number) =>
  queryOptions({
    queryKey: [...contentKey(dataset), "check", model, maxLength],
    queryFn: () => {
      const params = { path: { dataset_id: dataset.id }, query: { model, max_length: maxLength } };
      return of(api.GET("/api/datasets/{dataset_id}/check", { params }));
    },
    placeholderData: keepPreviousData,
  });
