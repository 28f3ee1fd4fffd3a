import { admitted, type Schemas } from "@/lib/api";

/** What the body of each kind of event is. */
export interface Bodies {
  state: Schemas["StateTold"];
  rewound: Schemas["RewoundTold"];
  dataset: Schemas["DatasetTold"];
  chat: Schemas["ChatTold"];
  deleted: Schemas["DeletedTold"];
  progress: Schemas["ProgressTold"];
  started: Schemas["Started"];
  step: Schemas["Step"];
  evaluated: Schemas["Evaluated"];
  sampled: Schemas["Sampled"];
  saved: Schemas["Saved"];
  warned: Schemas["Warned"];
  finished: Schemas["Finished"];
  failed: Schemas["Failed"];
  registered: Schemas["RegisteredTold"];
  certified: Schemas["CertifiedTold"];
}
const KINDS = [
  ...(["state", "rewound", "dataset", "chat", "deleted", "progress", "started", "step"] as const),
  ...(["evaluated", "sampled", "saved", "warned", "finished", "failed", "registered", "certified"] as const),
] satisfies (keyof Bodies)[];

export type LiveEvent = {
  [Kind in keyof Bodies]: { kind: Kind; seq: number; job_id: string | null; step: number; body: Bodies[Kind] };
}[keyof Bodies];

export type Topic = "jobs" | "datasets" | "chats" | `job:${string}`;
export type Connection = "connecting" | "live" | "lost";

/** Who listens. `known` is the last event it has, undefined from now on. `reset`: load what is shown anew. */
export interface Listener {
  topic: Topic;
  known: number | undefined;
  tell: (event: LiveEvent) => void;
  reset: () => void;
}

const HIDDEN_MS = 60_000;
const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 8000;

/**
 * The one stream of this tab: browsers allow six connections a server, for all tabs together.
 *
 * It is opened anew when the topics change, from the oldest event that some listener still lacks; each listener
 * hears every event of its topic once. A tab that nobody sees lets go of it after a minute.
 */
export class Live {
  connection: Connection = "connecting";
  private readonly listeners = new Set<Listener>();
  private readonly watchers = new Set<() => void>();
  private source: EventSource | undefined;
  private opening: ReturnType<typeof setTimeout> | undefined;
  private hiding: ReturnType<typeof setTimeout> | undefined;
  private wait = FIRST_WAIT_MS;
  private last: number | undefined;

  /** `onRegained`: the server answers again after it was away. `onRefused`: it is not to be had, or does not let us in. */
  constructor(
    private readonly onRegained: () => void,
    private readonly onRefused: () => void,
  ) {}

  /** Hear a topic until the returned function is called. */
  listen(listener: Listener): () => void {
    listener.known ??= this.last;
    this.listeners.add(listener);
    this.openSoon(0);
    return () => {
      this.listeners.delete(listener);
      this.openSoon(0);
    };
  }

  /** Hear of changes of `connection`. */
  watch(changed: () => void): () => void {
    this.watchers.add(changed);
    return () => this.watchers.delete(changed);
  }

  /** Let go of the stream while nobody looks; returns the end of it. */
  followVisibility(): () => void {
    const changed = () => {
      clearTimeout(this.hiding);
      if (document.visibilityState === "hidden") this.hiding = setTimeout(() => this.close(), HIDDEN_MS);
      else if (this.source === undefined) this.openSoon(0);
    };
    document.addEventListener("visibilitychange", changed);
    return () => {
      document.removeEventListener("visibilitychange", changed);
      clearTimeout(this.hiding);
      this.close();
    };
  }

  private openSoon(afterMs: number): void {
    clearTimeout(this.opening);
    const opening = setTimeout(() => void admitted().then(() => opening === this.opening && this.open()), afterMs);
    this.opening = opening;
  }

  private close(): void {
    clearTimeout(this.opening);
    this.opening = undefined;
    this.source?.close();
    this.source = undefined;
  }

  private open(): void {
    this.close();
    if (this.listeners.size === 0) return;
    const known = [...this.listeners].flatMap(({ known }) => (known === undefined ? [] : [known]));
    const address = new URLSearchParams({ topics: [...new Set([...this.listeners].map(({ topic }) => topic))].join() });
    if (known.length > 0) address.set("after", String(Math.min(...known)));
    const source = new EventSource(`/api/events?${address.toString()}`);
    this.source = source;
    source.onopen = () => this.opened();
    source.onerror = () => this.failed(source);
    source.addEventListener("hello", (event) => this.begin(Number(event.lastEventId)));
    source.addEventListener("reset", (event) => this.reset(Number(event.lastEventId)));
    for (const kind of KINDS) source.addEventListener(kind, (event) => this.tell(kind, event));
  }

  private opened(): void {
    const regained = this.connection === "lost";
    this.wait = FIRST_WAIT_MS;
    this.set("live");
    if (regained) this.onRegained();
  }

  private failed(source: EventSource): void {
    if (source !== this.source) return;
    this.set("lost");
    if (source.readyState !== EventSource.CLOSED) return; // the browser tries again by itself
    this.onRefused();
    this.openSoon(this.wait);
    this.wait = Math.min(2 * this.wait, LONGEST_WAIT_MS);
  }

  /** Between what a listener has loaded and the beginning of the stream something may have happened. */
  private begin(seq: number): void {
    this.last = Math.max(this.last ?? 0, seq);
    for (const listener of this.listeners) {
      if (listener.known !== undefined) continue;
      listener.known = seq;
      listener.reset();
    }
  }

  private reset(seq: number): void {
    this.last = seq;
    for (const listener of this.listeners) {
      listener.known = seq;
      listener.reset();
    }
  }

  private tell(kind: keyof Bodies, message: MessageEvent<string>): void {
    const event = { kind, seq: Number(message.lastEventId), ...JSON.parse(message.data) } as LiveEvent;
    this.last = Math.max(this.last ?? 0, event.seq);
    for (const listener of [...this.listeners]) {
      if (event.seq <= (listener.known ?? -1)) continue;
      listener.known = event.seq;
      if (concerns(event, listener.topic)) listener.tell(event);
    }
  }

  private set(connection: Connection): void {
    if (connection === this.connection) return;
    this.connection = connection;
    for (const changed of this.watchers) changed();
  }
}

/** The same rule as the server's `Topics`: one stream carries what all listeners of this tab want. */
function concerns(event: LiveEvent, topic: Topic): boolean {
  if (event.kind === "deleted") {
    const { job_id, chat_id } = event.body;
    if (chat_id) return topic === "chats";
    return job_id ? topic === "jobs" || topic === `job:${job_id}` : topic === "datasets";
  }
  if (topic === "jobs") return event.kind === "state";
  if (topic === "datasets") return event.kind === "dataset";
  if (topic === "chats") return event.kind === "chat";
  return topic === `job:${event.job_id}`;
}
