"""The BentoML service around one model. It is yours: add endpoints, configure BentoML.

    bentoml serve --arg model=NAME:VERSION
    bentoml build --arg model=NAME:VERSION

The model's own endpoints (/predict, /v2, gRPC) are canari's: `app` answers them in either server, `bentoml serve` or
`canari serve --bento TAG`. A method decorated with @bentoml.api is served beside them; `app.runtime` predicts for it.
"""

import bentoml
from pydantic import BaseModel

from canari.serving.mounted import ModelApp


class Arguments(BaseModel):
    """What `--arg` sets; a bento remembers the arguments that it was built with."""

    model: str  # NAME:VERSION, from `canari models`
    grpc_port: int = 3001


arguments = bentoml.use_arguments(Arguments)
app = ModelApp(grpc_port=arguments.grpc_port)


@bentoml.service(name="canari", workers=1, traffic={"timeout": 30}, logging={"access": {"enabled": False}})
@bentoml.asgi_app(app)
class Service:
    """Predictions of one model."""

    model = bentoml.models.BentoModel(arguments.model)

    @bentoml.on_startup  # type: ignore[untyped-decorator]
    async def start(self) -> None:
        """Load the model and open the gRPC port."""
        await app.start(self.model.path, self)

    @bentoml.on_shutdown  # type: ignore[untyped-decorator]
    async def stop(self) -> None:
        """Finish what is being answered."""
        await app.stop()

    async def __is_ready__(self) -> bool:
        return app.ready

    async def __metrics__(self, metrics: str) -> str:
        return metrics + app.metrics
