import { MutationCache, QueryCache, QueryClient } from "@tanstack/react-query";
import { isPassing, isSignedOut } from "@/lib/failure";

export const SESSION = ["session"] as const;

/** Server state. It is loaded once and kept true by the live stream (`use-topic.ts`), not by asking again and again. */
export function createQueryClient(): QueryClient {
  const onError = (error: Error, query?: unknown) => {
    const ofSession = query instanceof Object && "queryKey" in query && query.queryKey === SESSION;
    if (isSignedOut(error) && !ofSession) void client.invalidateQueries({ queryKey: SESSION });
  };
  const client: QueryClient = new QueryClient({
    queryCache: new QueryCache({ onError }),
    mutationCache: new MutationCache({ onError: (error) => onError(error) }),
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
