// A client generated from the service's OpenAPI description: makes a collection, writes, searches,
// and reads the answer. What may not be said to the service has to be an error of the compiler.
import createClient from "openapi-fetch";
import type { components, paths } from "./api.js";

type IsVague<T> = 0 extends 1 & T ? true : unknown extends T ? true : false;
type Precise<T> = IsVague<T> extends true ? never : T;
function precise<T>(value: Precise<T>): T {
  return value as T;
}

type Answer = components["schemas"]["SearchAnswer"];
type Filter = components["schemas"]["Filter"];

const [url = "", key = ""] = process.argv.slice(2);
const api = createClient<paths>({ baseUrl: url, headers: { Authorization: `Bearer ${key}` } });

function done<T>(outcome: { data?: T; error?: unknown }): T {
  if (outcome.data === undefined) {
    throw new Error(JSON.stringify(outcome.error));
  }
  return outcome.data;
}

const collection = "typescript";
const path = { collection };
const made = done(
  await api.PUT("/v1/collections/{collection}", {
    params: { path },
    body: { sparse: "bm25", passages: false, fields: { year: "number" } },
  }),
);
precise<number>(made.generation);
precise<number | undefined>(made.passages?.tokens);

const written = done(
  await api.PUT("/v1/collections/{collection}/documents/{doc_id}", {
    params: { path: { collection, doc_id: "birds/1" }, query: { wait: "searchable" } },
    body: { text: "A heron stands in the river.", title: "Heron", metadata: { year: 2020, author: { name: "Kim" } } },
  }),
);
const status: "created" | "replaced" | "deleted" | "missing" | "conflict" | "invalid" =
  written.status;

const bulk = done(
  await api.POST("/v1/collections/{collection}/documents", {
    params: { path, query: { wait: "searchable" } },
    body: {
      documents: [
        { doc_id: "birds/2", text: "A kingfisher in the river.", metadata: { year: 2021, tags: ["a"] } },
        { doc_id: "otter", text: "An otter fishes.", metadata: { year: 2021 } },
      ],
    },
  }),
);
if (typeof bulk === "string") {
  throw new Error("a JSON request is answered in JSON");
}

const filter: Filter = {
  must: [{ year: { gte: 2020, lt: 2030 } }, { year: { any: [2020, 2021] } }, { year: { exists: true } }],
  must_not: [{ tags: "b" }, { should: [{ "author.name": "Lee" }, { year: { not: { any: [2020, 2021] } } }] }],
};
const answer: Answer = done(
  await api.POST("/v1/collections/{collection}/search", {
    params: { path },
    body: {
      text: "river",
      limit: 5,
      filter,
      facets: ["tags", { field: "year", ranges: [{ from: 2021 }] }],
      sort: ["year:desc", { field: "tags", order: "asc", missing: "last" }],
      fields: ["title", "text", "metadata.year"],
      explain: "full",
      count: true,
      passages: 2,
    },
  }),
);

const hits = answer.hits.map((hit) => {
  const year = hit.metadata?.["year"];
  return {
    id: precise<string>(hit.doc_id),
    score: precise<number>(hit.score),
    year: typeof year === "number" ? year : null,
    term: precise<string | undefined>(hit.explanation?.terms?.[0]?.term),
    heading: precise<string | undefined>(hit.passages?.[0]?.heading),
  };
});
const counts = answer.facets.map((facet) => ({
  field: precise<string>(facet.field),
  values: facet.values?.map((each) => [each.value, precise<number>(each.count)]),
  ranges: facet.ranges?.map((each) => precise<number>(each.count)),
}));

const refused = await api.POST("/v1/collections/{collection}/search", {
  params: { path: { collection: "nobody" } },
  body: { text: "river" },
});
const code: string | undefined = refused.error && precise<string>(refused.error.code);

// What would be refused is not written in the first place.
// @ts-expect-error a bound is a number or a date
const wrongBound: Filter = { year: { gte: true } };
// @ts-expect-error there is no such clause
const wrongClause: Filter = { year: { above: 3 } };
// @ts-expect-error there is no such field of a search
const wrongField: components["schemas"]["SearchRequest"] = { text: "river", limits: 3 };
// @ts-expect-error there is no such method of fusion
const wrongPlan: components["schemas"]["FusionFields"] = { method: "magic" };
// @ts-expect-error a page is a number, or null
const wrongPage: components["schemas"]["HitPassage"]["page"] = "3";
void [wrongBound, wrongClause, wrongField, wrongPlan, wrongPage];

const n_matches: number | null | undefined = answer.n_matches;
const n_written: number = bulk.n_written;
console.log(JSON.stringify({ status, n_written, n_matches, hits, counts, code }));
