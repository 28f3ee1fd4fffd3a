import { queryOptions } from "@tanstack/react-query";
import { api, of } from "@/lib/api";

/** Conversations, the one last talked to first. */
export const chatsQuery = queryOptions({ queryKey: ["chats"], queryFn: () => of(api.GET("/api/chats")) });

/** A conversation with all that was said. */
export const chatQuery = (id: string) =>
  queryOptions({
    queryKey: ["chats", id],
    queryFn: () => of(api.GET("/api/chats/{chat_id}", { params: { path: { chat_id: id } } })),
  });
