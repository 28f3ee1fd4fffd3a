import createClient from "openapi-fetch";
import { Failure } from "@/lib/failure";
import { currentLocale } from "@/lib/preferences";
import type { components, paths } from "@/generated/schema";

export type Schemas = components["schemas"];

/** The API, typed by its description. Every refusal is thrown as a `Failure`. */
export const api = createClient<paths>();

api.use({
  async onRequest({ request }) {
    await admitted();
    for (const [name, value] of Object.entries(ownHeaders())) request.headers.set(name, value);
    return request;
  },
  async onResponse({ response }) {
    if (!response.ok) throw await Failure.of(response);
  },
  onError: ({ error }) => (error instanceof DOMException ? error : Failure.unreachable()),
});

/** What every request of ours says; for those that must be sent by hand (uploads with progress). */
export function ownHeaders(): Record<string, string> {
  return { "accept-language": currentLocale(), "x-llmlora": "1" };
}

/** The body of a successful answer. */
export async function of<T>(answer: Promise<{ data?: T }>): Promise<T> {
  return (await answer).data as T;
}

let admission: Promise<void> | undefined;

/** A token that came in the address is traded for a cookie before the first request goes out. */
export function admitted(): Promise<void> {
  admission ??= admit();
  return admission;
}

async function admit(): Promise<void> {
  const token = window.llmloraToken;
  delete window.llmloraToken;
  if (token !== undefined) await signIn(token).catch(() => undefined); // what follows is refused then, and the page says so
}

/** Trade the token for a cookie. */
export async function signIn(token: string): Promise<void> {
  const answer = await fetch("/api/session", {
    method: "POST",
    headers: { ...ownHeaders(), "content-type": "application/json" },
    body: JSON.stringify({ token }),
  }).catch(() => {
    throw Failure.unreachable();
  });
  if (!answer.ok) throw await Failure.of(answer);
}
