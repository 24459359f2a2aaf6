"""The only Prefect code: flow, schedule, server."""
