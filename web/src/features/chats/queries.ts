import { queryOptions } from "@tanstack/react-query";
import { api, of } from "@/lib/api";

/** Conversations, the one last talked to first. */
export const chatsQuery = queryOptions({ queryKey: ["chats"], queryFn: () => of(api.GET("/api/chats")) });
