import { MutationCache, QueryCache, QueryClient } from "@tanstack/react-query";
import { isPassing, isSignedOut } from "@/lib/failure";

export const SESSION = ["session"] as const;

/** Server state. It is loaded once and kept true by the live stream (`use-topic.ts`), not by asking again and again. */
export function createQueryClient(): QueryClient {
  // whoever is refused asks the session, once: the page then shows the way in
  const onError = (error: Error) => {
    const known = client.getQueryState(SESSION)?.status === "error";
    if (isSignedOut(error) && !known) void client.invalidateQueries({ queryKey: SESSION });
  };
  const client: QueryClient = new QueryClient({
    queryCache: new QueryCache({ onError }),
    mutationCache: new MutationCache({ onError }),
    defaultOptions: {
      queries: {
        networkMode: "always", // the server is on this machine, also without a network
        staleTime: Infinity,
        refetchOnWindowFocus: false,
        retry: (count, error) => isPassing(error) && count < 3,
        retryDelay: (count) => Math.min(500 * 2 ** count, 4000),
      },
      mutations: { networkMode: "always" },
    },
  });
  return client;
}
