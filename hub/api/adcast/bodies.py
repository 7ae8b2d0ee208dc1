"""What AdCast's clients send. Fields that are not listed are ignored, as its document leaves room for more."""

from typing import Annotated

from pydantic import Field

from hub.api.v1.bodies import Email, Name, Password, Tolerant, example


class Registration(Tolerant):
    model_config = example(
        name="John Doe",
        email="john@example.com",
        password="securepassword123",
        company_name="My Digital Signage Co",
    )

    name: Name
    email: Email
    password: Password
    company_name: Name


class Login(Tolerant):
    model_config = example(email="john@example.com", password="securepassword123")

    email: Annotated[str, Field(min_length=1, max_length=254)]
    password: Annotated[str, Field(min_length=1, max_length=200)]
