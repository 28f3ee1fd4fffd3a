import { queryOptions } from "@tanstack/react-query";
import type { Talked } from "@/features/chats/partner";
import { api, of } from "@/lib/api";

/** Conversations, the one last talked to first. */
export const chatsQuery = queryOptions({ queryKey: ["chats"], queryFn: () => of(api.GET("/api/chats")) });

/** A conversation with all that was said. */
export const chatQuery = (id: string) =>
  queryOptions({
    queryKey: ["chats", id],
    queryFn: () => of(api.GET("/api/chats/{chat_id}", { params: { path: { chat_id: id } } })),
  });

/** What can answer, first what is taken where nothing is chosen. Ollama's models come and go without an event. */
export const enginesQuery = ({ model, jobId }: Talked, { adapted, compare }: { adapted: boolean; compare: boolean }) => {
  const query = jobId ? { job_id: jobId, adapted, compare } : { model: model ?? "" };
  return queryOptions({
    queryKey: ["engines", query],
    queryFn: () => of(api.GET("/api/chats/engines", { params: { query } })),
    staleTime: 0,
    refetchOnWindowFocus: "always",
  });
};
